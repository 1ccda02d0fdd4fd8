// Symbols that several modules share.
'use strict';

// What the engine lacks of the proposal for resources that are disposed of.
for (const name of ['dispose', 'asyncDispose']) {
  if (Symbol[name] === undefined) {
    Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
  }
}

module.exports = {
  customInspect: Symbol.for('nodejs.util.inspect.custom'),
  customPromisify: Symbol.for('nodejs.util.promisify.custom'),
};
