'use strict';
// Files of JSON, folders, cycles, and the cache.
console.log(require('./modules/values.json'), require('./modules/values') === require('./modules/values.json'));
console.log(require('./modules/a'), require('./modules').name, require('./modules/') === require('./modules/index.js'));
console.log(module.children.length > 0, require.cache[__filename] === module, module.id, module.loaded, require.resolve('./modules/a').endsWith('/modules/a.js'), require.resolve('fs'), require.resolve('node:fs'));
console.log(require('module').builtinModules.includes('fs'), require('module').isBuiltin('node:fs'), require('events') === require('node:events'));
try { require('./modules/throws'); } catch (e) { console.log(e.message); }
try { require('./modules/throws'); } catch (e) { console.log(e.message); }
try { require('./modules/bad.json'); } catch (e) { console.log(e.name); }
console.log(typeof exports, arguments.length, arguments[1] === require);
