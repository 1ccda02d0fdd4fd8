// What is wrong with a package is told with its file.
const fs = require('fs');
const path = require('path');
const folder = fs.mkdtempSync(path.join(require('os').tmpdir(), 'packages-'));
const make = (name, text, files = []) => {
  fs.mkdirSync(path.join(folder, name));
  fs.writeFileSync(path.join(folder, name, 'package.json'), text);
  for (const file of files) fs.writeFileSync(path.join(folder, name, file), `module.exports = '${file}'`);
};
make('elsewhere', '{"main": "gone"}', ['index.js']);
make('gone', '{"main": "gone"}');
make('bad', '{bad', ['index.js']);
make('fine', '{"main": "lib"}', ['lib.js']);
for (const name of ['elsewhere', 'fine', 'gone', 'bad']) {
  try {
    console.log(require(path.join(folder, name)));
  } catch (error) {
    const own = (text) => text?.replaceAll(folder, '');
    console.log(error.name, error.code, own(error.message), own(error.path), own(error.requestPath));
  }
}
fs.rmSync(folder, { recursive: true });
