//! Temporary files and directories with names that nobody else has.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::PathError;
use super::file::File;
use super::job::{self, on_path};
use super::options::Opened;
use crate::error::WorkError;
use crate::pool::{self, Admission};
use crate::request::Request;
use crate::state::current;
use crate::trace::label::here;
use crate::virtual_time::chance::Chance;

/// What a template ends in, replaced by letters and digits (as `mkstemp(3)`).
const PLACEHOLDER: &[u8] = b"XXXXXX";

/// Names that are tried before giving up: many more than can be taken by chance.
const ATTEMPTS: usize = 1_000;

/// Makes a directory that was not there, for its owner alone (mode 0o700), and gives its path: the
/// template's with the `XXXXXX` at its end replaced.
///
/// It is not removed by itself. In a [simulation](crate::sim) the name comes from the seed, unless
/// the machine has it already, as from an earlier run with this seed: then it is another one, and
/// the run is the same but for the name.
///
/// # Errors
/// `InvalidInput` for a template without the placeholder, else the system's.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let path = windlass::fs::create_temp_dir(std::env::temp_dir().join("doc-XXXXXX")).await?;
///     windlass::fs::remove_dir(path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_temp_dir(template: impl AsRef<Path>) -> Request<io::Result<PathBuf>> {
    on_path("mkdtemp", template, |template| {
        let make = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
        unique(template, make).map(|(path, ())| path)
    })
}

/// Makes a file that was not there, for its owner alone (mode 0o600), and opens it for reading and
/// writing. Its [`path`](File::path) is the template's with the `XXXXXX` at its end replaced.
///
/// It is not removed by itself. In a simulation the name is as that of [`create_temp_dir`].
///
/// # Errors
/// As [`create_temp_dir`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let file = windlass::fs::create_temp_file(std::env::temp_dir().join("doc-XXXXXX")).await?;
///     file.write("for now").await?;
///     windlass::fs::remove_file(file.path().unwrap()).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_temp_file(template: impl AsRef<Path>) -> Request<io::Result<File>> {
    let state = current::expect("create_temp_file");
    let location = here();
    let template = template.as_ref().to_owned();
    let work = move || {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        match unique(&template, |path| options.open(path)) {
            Ok((path, file)) => Ok(Opened { file, path: Arc::from(path), location }),
            Err(error) => Err(PathError::wrap("mkstemp", &template, error)),
        }
    };
    let finish = |result: Result<io::Result<Opened>, WorkError>| pool::flatten(result)?.into_file();
    pool::submit(&state, job::origin(location), Admission::New, work, finish)
}

/// Tries names until one is not taken.
fn unique<T>(template: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    let bytes = template.as_os_str().as_bytes();
    let Some(stem) = bytes.strip_suffix(PLACEHOLDER) else {
        let text = "a template ends in XXXXXX";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    // One draw for a name, however many are taken: so what is drawn next does not depend on the
    // files of the machine.
    let mut number = current::with_chance(Chance::value).unwrap_or_else(random_number);
    for _ in 0..ATTEMPTS {
        let path = PathBuf::from(OsString::from_vec([stem, &letters(number)].concat()));
        number = random_number();
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The keys of a hash map are random, which is enough: a name that is taken is not used.
fn random_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Six letters and digits.
fn letters(mut number: u64) -> [u8; PLACEHOLDER.len()] {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    [(); PLACEHOLDER.len()].map(|()| {
        let letter = LETTERS[(number % LETTERS.len() as u64) as usize];
        number /= LETTERS.len() as u64;
        letter
    })
}
