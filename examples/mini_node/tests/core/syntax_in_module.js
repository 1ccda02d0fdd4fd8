// What is wrong with a module is shown there.
process.on('exit', (code) => console.log('exit', code));
try { require('./modules/unfinished'); } catch (error) { console.log(error.name, error.message); }
require('./modules/unfinished');
