try { require('./not-there'); } catch (e) { console.log(e.code, e.message.split('\n')[0], e.requireStack.length); }
try { require('node:nothing'); } catch (e) { console.log(e.code, e.message); }
try { require(''); } catch (e) { console.log(e.code, e.message); }
try { require(5); } catch (e) { console.log(e.code, e.message); }
require('nothing-at-all');
