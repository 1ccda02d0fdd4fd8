// Keeps the built-in modules: each is run once, when it is first required. What this module exports
// is the `require` of all the others. The object `process` is empty at first: the module of that name
// gives it all it has.
'use strict';

const { ids, compile } = internalBinding('builtins');

// From the name of a module to the module.
const modules = new Map();

function requireBuiltin(id) {
  let builtin = modules.get(id);
  if (builtin === undefined) {
    const run = compile(id);
    builtin = { id, exports: {} };
    // Before it runs: two modules may need each other.
    modules.set(id, builtin);
    run(builtin.exports, requireBuiltin, builtin, internalBinding, process);
  }
  return builtin.exports;
}

// What programs may require.
const publicIds = ids.filter((id) => !id.startsWith('internal/')).sort();
requireBuiltin.publicIds = publicIds;
requireBuiltin.has = (id) => ids.includes(id);

module.exports = requireBuiltin;
