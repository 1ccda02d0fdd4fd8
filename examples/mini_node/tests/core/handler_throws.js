process.on('uncaughtException', () => { throw new Error('again'); });
process.on('exit', () => console.log('never'));
throw new Error('first');
