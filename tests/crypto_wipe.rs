//! Passwords and keys are wiped before their memory is given back. This file is a program of its own,
//! because it looks at all memory that the process frees.
#![cfg(feature = "crypto")]
#![allow(unsafe_code)] // An allocator is.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use windlass::crypto::{Digest, ScryptParams, pbkdf2, random_bytes, scrypt};
use windlass::{Loop, Pool, Request, exit, queue_work, spawn};

/// What must not be in memory that is given back: a part of a password, and the keys of RFC 6070 and RFC
/// 7914.
const PASSWORD: &[u8] = b"passwordPASSWORDpassword";
const SECRETS: [&[u8]; 3] = [
    b"passwordPASSWORD",
    &[0x3d, 0x2e, 0xec, 0x4f, 0xe4, 0x1c, 0x84, 0x9b],
    &[0x77, 0xd6, 0x57, 0x62, 0x38, 0x65, 0x7b, 0x20],
];

/// How often memory was given back with each of them in it.
static FOUND: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// Lengths of random bytes: nothing else has a block of such a size. The second takes two jobs.
const LENGTHS: [usize; 2] = [54_321, (8 << 20) + 54_321];
/// How many blocks of one of these sizes were given back, and how many of them were not all zero.
static RANDOM: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

struct Watchful;

// SAFETY: everything is the system's allocator's; a block is looked at before it goes back.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that all of it can be looked at.
        // SAFETY: as the caller vouches.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, of this size, and was zeroed when it was made.
        let bytes = unsafe { std::slice::from_raw_parts(place, layout.size()) };
        if LENGTHS.contains(&layout.size()) {
            RANDOM[0].fetch_add(1, Ordering::Relaxed);
            let left = bytes.iter().any(|byte| *byte != 0);
            RANDOM[1].fetch_add(usize::from(left), Ordering::Relaxed);
            // SAFETY: as the caller vouches.
            return unsafe { System.dealloc(place, layout) };
        }
        for (secret, found) in SECRETS.iter().zip(&FOUND) {
            if bytes.windows(secret.len()).any(|window| window == *secret) {
                found.fetch_add(1, Ordering::Relaxed);
            }
        }
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

fn derive(with_scrypt: bool) -> Request<io::Result<Vec<u8>>> {
    if with_scrypt {
        return scrypt(b"", b"", 64, ScryptParams { log_n: 4, r: 1, p: 1 });
    }
    pbkdf2(PASSWORD, b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25, Digest::Sha1)
}

/// Fails if memory was given back with a secret in it since the last call.
#[track_caller]
fn check(what: &str) {
    let found = FOUND.each_ref().map(|found| found.swap(0, Ordering::Relaxed));
    assert_eq!(found, [0; 3], "{what}: password, key of pbkdf2, key of scrypt");
}

#[test]
fn no_password_and_no_key_is_left_in_memory_that_is_given_back() {
    bounded(|| {
        drop(SECRETS[1].to_vec());
        assert_eq!(FOUND[1].swap(0, Ordering::Relaxed), 1, "the allocator sees it");
        for with_scrypt in [false, true] {
            let pool = Pool::new(1).unwrap();
            let new_loop = || loop_on(&pool);

            let mut key = new_loop().block_on(async { derive(with_scrypt).await.unwrap() });
            assert!(SECRETS.iter().any(|secret| key.starts_with(secret)));
            key.fill(0); // It is ours.
            drop(key);
            check("a key that was fetched");

            new_loop().run(|| drop(derive(with_scrypt)));
            check("a key whose request was dropped");

            let request = new_loop().run(|| derive(with_scrypt));
            drop(request);
            check("a key whose request was dropped when it was there");

            let event_loop = new_loop();
            let done = pool.metrics().completed;
            event_loop.enter(|| drop(derive(with_scrypt)));
            while pool.metrics().completed == done {
                thread::yield_now();
            }
            drop(event_loop);
            check("a key that was there when its loop ended");

            new_loop().run(|| {
                let (release, gate) = mpsc::channel::<()>();
                drop(queue_work(move || gate.recv().ok()));
                derive(with_scrypt).cancel().unwrap();
                drop(release);
            });
            check("a key that was cancelled");
        }
    });
}

#[test]
fn no_random_bytes_are_left_in_memory_that_is_given_back() {
    #[track_caller]
    fn check(what: &str) {
        let [blocks, left] = RANDOM.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
        assert_eq!((blocks, left), (1, 0), "{what}: blocks given back, and not wiped");
    }
    bounded(|| {
        for length in LENGTHS {
            let pool = Pool::new(1).unwrap();
            let new_loop = || loop_on(&pool);
            let begin = |event_loop: &Loop| {
                let done = pool.metrics().completed;
                let request = event_loop.enter(|| random_bytes(length));
                while pool.metrics().completed == done {
                    thread::yield_now();
                }
                request
            };

            drop(new_loop().block_on(async { random_bytes(length).await.unwrap() }));
            let [blocks, left] = RANDOM.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
            assert_eq!((blocks, left), (1, 1), "the allocator sees what is ours to wipe");

            new_loop().run(|| drop(random_bytes(length)));
            check("a request that was dropped");

            drop(new_loop().run(|| random_bytes(length)));
            check("a request that was dropped when they were there");

            let request = new_loop().run(|| random_bytes(length));
            request.on_complete(|_| unreachable!("its loop has ended"));
            check("a callback that came when the loop had ended");

            let event_loop = new_loop();
            drop(begin(&event_loop));
            drop(event_loop);
            check("a loop that ended when a job was done, request dropped");

            let event_loop = new_loop();
            begin(&event_loop).on_complete(|_| unreachable!("its loop has ended"));
            drop(event_loop);
            check("a loop that ended when a job was done, with a callback");

            let event_loop = new_loop();
            let request = begin(&event_loop);
            request.cancel().unwrap();
            assert!(is_canceled(&event_loop.block_on(request)));
            drop(event_loop);
            check("a request that was cancelled when a job was done");

            new_loop().run(|| {
                drop(spawn(async move {
                    let request = random_bytes(length);
                    while !Loop::current().handles().is_empty() {
                        iterations(1).await;
                    }
                    // They are there, and the callback would run in the next pending phase.
                    request.on_complete(|_| unreachable!("its loop has ended"));
                    exit(0);
                }));
            });
            check("a loop that ended before a callback that came late");

            new_loop().run(|| {
                drop(spawn(async move { drop(random_bytes(length).await) }));
                exit(0);
            });
            // What the pool has begun goes on to its end.
            pool.shutdown(Duration::from_secs(60)).unwrap();
            assert_eq!(
                RANDOM[1].load(Ordering::Relaxed),
                0,
                "a loop that ended while they are made"
            );
            RANDOM[0].store(0, Ordering::Relaxed);
        }
    });
}
