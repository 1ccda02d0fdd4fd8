// The stack ends in an async function: each promise is rejected, and nobody is lost.
let depth = 0;
async function deep() { depth++; await deep(); }
deep().catch((error) => console.log(error.name, error.message, depth > 500));
process.on('exit', (code) => console.log('exit', code));
