//! Keys, digests and random bytes: the published test vectors, what Node computes, and what the
//! requests promise.
#![cfg(feature = "crypto")]

mod common;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::thread;

use common::*;
use windlass::crypto::{
    Digest, ScryptParams, hash, hash_file, pbkdf2, random_bytes, scrypt, timing_safe_eq,
};
use windlass::fs::PathError;
use windlass::{CancelError, Loop, LoopGone, Pool, block_on, queue_work, run};

const DIGESTS: [Digest; 4] = [Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512];

/// What one job hashes or fetches at most, as documented.
const SLICE: usize = 8 * 1024 * 1024;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file with this in it, that belongs to one test.
fn file(test: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Checks a derived key against the hexadecimal digits of a publication.
#[track_caller]
fn check(key: impl Future<Output = io::Result<Vec<u8>>>, expected: &str) {
    let expected: String = expected.split_whitespace().collect();
    assert_eq!(hex(&block_on(key).unwrap()), expected);
}

/// As [`check`], for a request that is made on the loop.
macro_rules! derives {
    ($request:expr, $expected:expr) => {
        check(async { $request.await }, $expected)
    };
}

#[test]
fn pbkdf2_gives_the_keys_of_rfc_6070() {
    bounded(|| {
        let sha1 = |password: &[u8], salt: &[u8], iterations, len| {
            let key = async { pbkdf2(password, salt, iterations, len, Digest::Sha1).await };
            hex(&block_on(key).unwrap())
        };
        assert_eq!(sha1(b"password", b"salt", 1, 20), "0c60c80f961f0e71f3a9b524af6012062fe037a6");
        assert_eq!(sha1(b"password", b"salt", 2, 20), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        assert_eq!(
            sha1(b"password", b"salt", 4096, 20),
            "4b007901b765489abead49d926f721d065a429c1"
        );
        let (password, salt) =
            (b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt");
        assert_eq!(
            sha1(password, salt, 4096, 25),
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"
        );
        assert_eq!(sha1(b"pass\0word", b"sa\0lt", 4096, 16), "56fa6aa75548099dcc37d7f03425e0c3");
    });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "sixteen million iterations take minutes unoptimised")]
fn pbkdf2_gives_the_long_key_of_rfc_6070() {
    derives!(
        pbkdf2(b"password", b"salt", 16_777_216, 20, Digest::Sha1),
        "eefe3d61cd4da4e4e9945b3d6ba2158c2634e984"
    );
}

#[test]
fn pbkdf2_gives_the_keys_of_rfc_7914() {
    derives!(
        pbkdf2(b"passwd", b"salt", 1, 64, Digest::Sha256),
        "55ac046e56e3089fec1691c22544b605 f94185216dde0465e68b9d57c20dacbc
         49ca9cccf179b645991664b39d77ef31 7c71b845b1e30bd509112041d3a19783"
    );
    derives!(
        pbkdf2(b"Password", b"NaCl", 80_000, 64, Digest::Sha256),
        "4ddcd8f60b98be21830cee5ef22701f9 641a4418d04c0414aeff08876b34ab56
         a1d425a1225833549adb841b51c9b317 6a272bdebba1d078478f62b397f33c8d"
    );
}

#[test]
fn scrypt_gives_the_keys_of_rfc_7914() {
    derives!(
        scrypt(b"", b"", 64, ScryptParams { log_n: 4, r: 1, p: 1 }),
        "77d6576238657b203b19ca42c18a0497 f16b4844e3074ae8dfdffa3fede21442
         fcd0069ded0948f8326a753a0fc81f17 e8d3e0fb2e0d3628cf35e20c38d18906"
    );
    derives!(
        scrypt(b"password", b"NaCl", 64, ScryptParams { log_n: 10, r: 8, p: 16 }),
        "fdbabe1c9d3472007856e7190d01e9fe 7c6ad7cbc8237830e77376634b373162
         2eaf30d92e22a3886ff109279d9830da c727afb94a83ee6d8360cbdfa2cc0640"
    );
    derives!(
        scrypt(b"pleaseletmein", b"SodiumChloride", 64, ScryptParams::default()),
        "7023bdcb3afd7348461c06cd81fd38eb fda8fbba904f8e3ea9b543f6545da1f2
         d5432955613f0fcf62d49705242a9af9 e61e85dc0d651e40dfcf017b45575887"
    );
}

#[test]
#[cfg_attr(debug_assertions, ignore = "one gibibyte takes many seconds unoptimised")]
fn scrypt_gives_the_key_of_rfc_7914_that_takes_a_gibibyte() {
    derives!(
        scrypt(b"pleaseletmein", b"SodiumChloride", 64, ScryptParams { log_n: 20, r: 8, p: 1 }),
        "2101cb9b6a511aaeaddbbe09cf70f881 ec568d574a2ffd4dabe5ee9820adaa47
         8e56fd8f4ba5d09ffa1c6d927c40f4c3 37304049e8a952fbcbf45c6fa77a41a4"
    );
}

/// The digests of FIPS 180-4's examples, in the order of [`DIGESTS`].
const PUBLISHED: [(&str, [&str; 4]); 3] = [
    (
        "",
        [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da\
             274edebfe76f65fbd51ad2f14898b95b",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ],
    ),
    (
        "abc",
        [
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ],
    ),
    (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        [
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6\
             b0455a8520bc4e6f5fe95b1fe3c8452b",
            "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335\
             96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
        ],
    ),
];

#[test]
fn digests_are_those_of_the_standard_in_memory_on_the_pool_and_of_files() {
    bounded(|| {
        block_on(async {
            for (text, expected) in PUBLISHED {
                let path = file("crypto-published", text.as_bytes());
                for (digest, expected) in DIGESTS.into_iter().zip(expected) {
                    assert_eq!(hex(&digest.of(text.as_bytes())), expected, "{digest} of {text:?}");
                    assert_eq!(hex(&hash(digest, text).await.unwrap()), expected);
                    assert_eq!(hex(&hash_file(digest, &path).await.unwrap()), expected);
                    assert_eq!(digest.output_len() * 2, expected.len());
                }
            }
        });
    });
}

/// What Node prints for a script, or the reason why there is no Node to ask.
fn node(script: &str) -> Result<String, String> {
    let output = Command::new("node").arg("-e").arg(script).output();
    let output = output.map_err(|error| format!("node cannot be started: {error}"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn keys_and_digests_are_those_that_node_computes() {
    bounded(|| {
        let (password, salt) = (noise(1, 100), noise(2, 33));
        let (p, s) = (hex(&password), hex(&salt));
        let mut script = format!(
            "const c = require('crypto'), p = Buffer.from('{p}', 'hex'), s = Buffer.from('{s}', 'hex');
             const say = bytes => console.log(bytes.toString('hex'));\n"
        );
        // Each a line of the script, and the same here.
        let mut ours: Vec<String> = Vec::new();
        block_on(async {
            for digest in DIGESTS {
                for (iterations, len) in [(1, 1), (3, 64), (77, 65), (5, 200)] {
                    script +=
                        &format!("say(c.pbkdf2Sync(p, s, {iterations}, {len}, '{digest}'));\n");
                    let key = pbkdf2(&password, &salt, iterations, len, digest).await;
                    ours.push(hex(&key.unwrap()));
                }
                script += &format!("say(c.createHash('{digest}').update(p).digest());\n");
                ours.push(hex(&digest.of(&password)));
            }
            for (log_n, r, p, len) in [(1, 1, 1, 1), (1, 8, 3, 40), (5, 3, 2, 64), (9, 16, 1, 33)] {
                let n = 1 << log_n;
                script +=
                    &format!("say(c.scryptSync(p, s, {len}, {{ N: {n}, r: {r}, p: {p} }}));\n");
                let key = scrypt(&password, &salt, len, ScryptParams { log_n, r, p }).await;
                ours.push(hex(&key.unwrap()));
            }
        });
        match node(&script) {
            Ok(theirs) => assert_eq!(theirs.lines().collect::<Vec<_>>(), ours),
            Err(reason) => println!("skipped: {reason}"),
        }
    });
}

#[test]
fn wrong_arguments_are_refused_later_with_their_name_and_without_a_thread() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let refused = async |request: windlass::Request<io::Result<Vec<u8>>>, words: &str| {
                let error = request.await.expect_err(words);
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(words), "{error} says {words:?}");
            };
            let long = 1 << 31;
            refused(pbkdf2(b"p", b"s", 0, 20, Digest::Sha1), "iterations is 0").await;
            refused(pbkdf2(b"p", b"s", 1, 0, Digest::Sha1), "key_len is 0").await;
            refused(pbkdf2(b"p", b"s", 1, long, Digest::Sha1), "key_len is 2147483648").await;
            refused(random_bytes(long), "2147483648 bytes are too many").await;
            refused(random_bytes(usize::MAX), "too many").await;
            let default = ScryptParams::default();
            refused(scrypt(b"p", b"s", 0, default), "key_len is 0").await;
            refused(scrypt(b"p", b"s", long, default), "key_len is 2147483648").await;
            for (log_n, r, p, words) in [
                (0, 8, 1, "log_n is 0"),
                (14, 0, 1, "r is 0"),
                (14, 8, 0, "p is 0"),
                (16, 1, 1, "less than 16·r, 16"),
                (4, 1 << 20, 1 << 10, "less than 2^30"),
                (4, u32::MAX, u32::MAX, "less than 2^30"),
                (21, 8, 1, "128·N·r is 2147483648 bytes"),
                (63, 8, 1, "128·N·r is"),
                (64, 8, 1, "128·N·r is"),
                (255, u32::MAX, 1, "less than 2^30"),
                (255, 1 << 20, 1, "128·N·r is"),
                (4, 8, 1 << 21, "128·p·r is 2147483648 bytes"),
            ] {
                refused(scrypt(b"p", b"s", 1, ScryptParams { log_n, r, p }), words).await;
            }
        });
        assert_eq!(pool.metrics().threads, 0);
    });
}

// The limit is the process's, and so the test below has a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_key_that_finds_no_memory_is_an_error_and_the_next_one_is_derived() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 786432 && exec \"$0\" \"$@\""]); // 768 MiB.
    shell.arg(std::env::current_exe().unwrap());
    shell.args(["child_derives_keys_in_little_memory", "--exact", "--ignored", "--nocapture"]);
    let output = shell.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_derives_keys_in_little_memory() {
    let pool = Pool::new(1).unwrap();
    Loop::builder().pool(pool).build().unwrap().block_on(async {
        let large = ScryptParams { log_n: 20, r: 8, p: 1 };
        for _ in 0..2 {
            let error = scrypt(b"p", b"s", 32, large).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
            assert!(error.to_string().contains(&large.memory().to_string()), "{error}");
        }
        let error = pbkdf2(b"p", b"s", 1, i32::MAX as usize, Digest::Sha1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        let small = ScryptParams { log_n: 4, r: 1, p: 1 };
        assert_eq!(scrypt(b"", b"", 4, small).await.unwrap(), [0x77, 0xd6, 0x57, 0x62]);
    });
}

#[test]
fn scrypt_says_beforehand_how_much_memory_it_takes() {
    let params = |log_n, r, p| ScryptParams { log_n, r, p };
    assert_eq!(params(14, 8, 1).memory(), 128 * 8 * (16_384 + 2));
    assert_eq!(params(1, 1, 5).memory(), 128 * 8);
    assert_eq!(params(255, u32::MAX, u32::MAX).memory(), u64::MAX);
}

// P-01 and FS-01, for keys.
#[test]
fn keys_are_derived_on_the_pool_and_completed_once_and_later_on_the_loop() {
    bounded(|| {
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        let completed = Rc::new(Cell::new(0));
        event_loop.run(|| {
            let here = thread::current().id();
            let counts = || {
                let completed = completed.clone();
                move |key: io::Result<Vec<u8>>| {
                    assert_eq!(thread::current().id(), here);
                    assert_eq!(key.unwrap().len(), 32);
                    completed.set(completed.get() + 1);
                }
            };
            let params = ScryptParams { log_n: 4, r: 1, p: 1 };
            pbkdf2(b"p", b"s", 10, 32, Digest::Sha512).on_complete(counts());
            scrypt(b"p", b"s", 32, params).on_complete(counts());
            random_bytes(32).on_complete(counts());
            hash(Digest::Sha256, "text").on_complete(counts());
            let path = file("crypto-later", b"text");
            hash_file(Digest::Sha256, path).on_complete(counts());
            assert_eq!(completed.get(), 0);
        });
        assert_eq!(completed.get(), 5);
        assert_eq!(pool.metrics().completed, 5);
    });
}

// P-02 and P-03.
#[test]
fn a_queued_key_is_cancelled_and_one_that_was_begun_is_not() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let release = block_a_thread().1;
            let params = ScryptParams { log_n: 4, r: 1, p: 1 };
            let queued = [
                pbkdf2(b"p", b"s", 1, 32, Digest::Sha1),
                scrypt(b"p", b"s", 32, params),
                random_bytes(32),
                hash(Digest::Sha1, "text"),
            ];
            for request in &queued {
                assert_eq!(request.cancel(), Ok(()));
                assert_eq!(request.cancel(), Err(CancelError::Done));
            }
            drop(release);
            for request in queued {
                assert!(is_canceled(&request.await));
            }
            let begun = pbkdf2(b"p", b"s", 1, 32, Digest::Sha1);
            while pool.metrics().completed < 2 {
                thread::yield_now();
            }
            assert_eq!(begun.cancel(), Err(CancelError::Busy));
            assert_eq!(begun.await.unwrap().len(), 32);
        });
    });
}

// P-14.
#[test]
fn random_bytes_fill_the_whole_length_and_none_is_enough_for_zero() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            assert_eq!(random_bytes(0).await.unwrap(), []);
            let (one, two) = (random_bytes(64).await.unwrap(), random_bytes(64).await.unwrap());
            assert_ne!(one, two);
            let before = pool.metrics().completed;
            let long = random_bytes(SLICE + SLICE / 2).await.unwrap();
            assert_eq!(long.len(), SLICE + SLICE / 2);
            // No stretch was left as it was: each of 2^15 has a chance of 2^-128 to be zero.
            let (chunks, rest) = long.as_chunks::<16>();
            assert!(rest.is_empty());
            assert!(chunks.iter().step_by(24).all(|chunk| *chunk != [0; 16]));
            assert_eq!(pool.metrics().completed - before, 2);
        });
    });
}

#[test]
fn a_long_file_is_hashed_in_several_jobs_with_others_between_them() {
    bounded(|| {
        let bytes = noise(3, 2 * SLICE + 12_345);
        let path = file("crypto-long", &bytes);
        let log = Trace::new();
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.run(|| {
            let (said, expected) = (log.clone(), Digest::Sha256.of(&bytes));
            hash_file(Digest::Sha256, &path).on_complete(move |digest| {
                assert_eq!(digest.unwrap(), expected);
                said.say("file");
            });
            let (said, expected) = (log.clone(), Digest::Sha1.of(&bytes));
            hash(Digest::Sha1, bytes).on_complete(move |digest| {
                assert_eq!(digest.unwrap(), expected);
                said.say("text");
            });
            let said = log.clone();
            queue_work(|| ()).on_complete(move |_| said.say("a job that came last"));
        });
        assert_eq!(log.lines(), ["a job that came last", "file", "text"]);
        assert_eq!(pool.metrics().completed, 3 + 3 + 1);
    });
}

#[test]
fn a_long_hash_goes_on_although_the_queue_of_the_pool_is_full() {
    bounded(|| {
        let pool = Pool::builder().threads(1).queue_limit(1).build().unwrap();
        let event_loop = loop_on(&pool);
        event_loop.block_on(async {
            let bytes = noise(7, SLICE + 1);
            let expected = Digest::Sha1.of(&bytes);
            let digest = hash(Digest::Sha1, bytes);
            // The first slice is done, but the loop does not know.
            while pool.metrics().completed == 0 {
                thread::yield_now();
            }
            let release = block_a_thread().1;
            drop(queue_work(|| ()));
            until(|| pool.metrics().queued == 2).await;
            drop(release);
            assert_eq!(digest.await.unwrap(), expected);
        });
    });
}

#[test]
fn a_long_hash_can_be_cancelled_when_it_has_begun() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            // It has no end.
            let endless = hash_file(Digest::Sha256, "/dev/zero");
            while pool.metrics().completed == 0 {
                windlass::yield_now().await;
            }
            assert_eq!(endless.cancel(), Ok(()));
            assert_eq!(endless.cancel(), Err(CancelError::Done));
            assert!(is_canceled(&endless.await));
        });
    });
}

#[test]
fn errors_of_a_file_keep_kind_operation_and_path() {
    bounded(|| {
        block_on(async {
            for (path, kind) in
                [("/no/such/file", ErrorKind::NotFound), ("/", ErrorKind::IsADirectory)]
            {
                let error = hash_file(Digest::Sha1, path).await.unwrap_err();
                assert_eq!(error.kind(), kind);
                assert!(error.to_string().contains(&format!("hash {path}: ")), "{error}");
                let inner = error.get_ref().unwrap().downcast_ref::<PathError>().unwrap();
                assert!(inner.raw_os_error().is_some());
            }
        });
    });
}

// E-01, Z-01 and Z-02.
#[test]
fn a_loop_may_end_while_keys_and_digests_are_computed() {
    bounded(|| {
        let path = file("crypto-ending", &noise(4, 100));
        for _ in 0..20 {
            run(|| {
                random_bytes(100).on_complete(|_| panic!("the loop has ended"));
                hash_file(Digest::Sha1, &path).on_complete(|_| panic!("the loop has ended"));
                pbkdf2(b"p", b"s", 10, 1, Digest::Sha1).on_complete(|_| panic!("it has ended"));
                windlass::exit(0);
            });
        }
        let event_loop = with_pool(1);
        let (left, release) = event_loop.enter(|| {
            let release = block_a_thread().1;
            (hash_file(Digest::Sha1, "/dev/zero"), release)
        });
        drop(event_loop);
        drop(release);
        let error = block_on(left).unwrap_err();
        assert!(error.get_ref().unwrap().is::<LoopGone>(), "{error}");
    });
}

#[test]
fn in_virtual_time_keys_and_digests_are_computed_without_a_thread() {
    bounded(|| {
        let pool = Pool::new(1).unwrap();
        let event_loop = Loop::builder().virtual_time(true).pool(pool.clone()).build().unwrap();
        let log = Trace::new();
        event_loop.run(|| {
            let says = |line| {
                let log = log.clone();
                move |result: io::Result<Vec<u8>>| {
                    result.unwrap();
                    log.say(line);
                }
            };
            hash(Digest::Sha256, vec![0; SLICE]).on_complete(says("two slices"));
            pbkdf2(b"p", b"s", 1, 32, Digest::Sha256).on_complete(says("key"));
            random_bytes(1).on_complete(says("random"));
        });
        assert_eq!(log.lines(), ["key", "random", "two slices"]);
        assert_eq!(pool.metrics().threads, 0);
    });
}

#[test]
fn a_safe_comparison_finds_a_difference_at_any_place_and_of_length() {
    let text = noise(5, 100);
    assert!(timing_safe_eq(&text, &text.clone()));
    assert!(timing_safe_eq(b"", b""));
    for at in 0..text.len() {
        let mut other = text.clone();
        other[at] ^= 1 << (at % 8);
        assert!(!timing_safe_eq(&text, &other), "a difference at {at}");
        assert!(!timing_safe_eq(&text, &text[..at]), "a length of {at}");
    }
}
