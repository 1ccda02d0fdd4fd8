'use strict';

const streams = require('internal/streams/finished');

function finished(stream, options) {
  return new Promise((resolve, reject) => {
    streams.finished(stream, options, (error) => error ? reject(error) : resolve());
  });
}

function pipeline(...all) {
  return new Promise((resolve, reject) => {
    streams.pipeline(...all, (error) => error ? reject(error) : resolve());
  });
}

module.exports = { finished, pipeline };
