//! Programs beside which stands what Node printed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn directory(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder)
}

/// What a program prints, both streams in one.
fn run(program: impl AsRef<OsStr>, file: &Path) -> String {
    let output = Command::new(program).arg(file).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs a program of a folder, and compares what it prints.
pub(crate) fn check(folder: &str, name: &str) {
    let file = directory(folder).join(name).with_extension("js");
    let expected = fs::read_to_string(file.with_extension("out")).unwrap();
    if let Some(node) = env::var_os("NODE") {
        assert_eq!(run(node, &file), expected, "{name}: node prints something else by now");
    }
    assert_eq!(run(env!("CARGO_BIN_EXE_mini_node"), &file), expected, "{name}");
}

/// Looks whether each program of a folder is in the list.
pub(crate) fn check_list(folder: &str, names: &[&str]) {
    let files = fs::read_dir(directory(folder)).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension() == Some(OsStr::new("js"))) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(names.contains(&&*name), "{name}.js is not in the list");
    }
}

/// A test for each program of a folder, and one that none is left out.
macro_rules! programs {
    (in $folder:literal; $($promise:ident: $name:literal,)*) => {
        $(#[test]
        fn $promise() {
            common::check($folder, $name);
        })*

        #[test]
        fn every_program_is_run() {
            common::check_list($folder, &[$($name),*]);
        }
    };
}
pub(crate) use programs;
