'use strict';

// Starts the server twice, asks for its slow page and right after that for its fast one, and tells
// who is answered first.

const http = require('http');
const path = require('path');
const { Worker } = require('worker_threads');

/** Asks for a page. `onSent` is called when the question is on its way. */
function ask(port, page, onAnswer, onSent) {
  const options = { host: '127.0.0.1', port, path: page, agent: false };
  const request = http.request(options, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => { body += chunk; });
    response.on('end', () => onAnswer(response.statusCode, body.trim()));
  });
  if (onSent) request.on('finish', onSent);
  request.end();
}

/** Starts a server, asks for both pages, and ends it. */
function scene(where, done) {
  const server = new Worker(path.join(__dirname, 'server.js'), { workerData: { where } });
  server.once('message', (port) => {
    const answered = [];
    const onAnswer = (page) => (status, body) => {
      console.log(`  ${page} answers ${status}: ${body}`);
      answered.push(page);
      if (answered.length < 2) return;
      console.log(answered[0] === '/fast' ?
        '  Nobody waited for the slow page.' :
        '  Who wanted the fast page had to wait for the slow one.');
      server.postMessage('enough');
    };
    ask(port, '/slow', onAnswer('/slow'), () => ask(port, '/fast', onAnswer('/fast')));
  });
  server.on('error', (error) => console.log(`  The server has failed: ${error.message}`));
  server.on('exit', (code) => {
    console.log(`  The server exits with code ${code}.`);
    done();
  });
}

console.log('The slow page is computed on the loop:');
scene('loop', () => {
  console.log('The slow page is computed in a worker:');
  scene('worker', () => console.log('Done.'));
});
