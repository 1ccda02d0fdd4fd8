//! The heart of scrypt: filling memory, then reading it in an order that nobody can foretell
//! (RFC 7914, sections 3 to 5). Around it stands PBKDF2, which is a library's.
//!
//! Why this is here at all: DESIGN.md has the figures. The mixing function works on sixteen words
//! in local variables. Its four quarter-rounds do not depend on each other, so a core runs them at
//! the same time, which is faster than vector instructions that do all four at once and wait for
//! each other. Blocks are kept as pairs of words for the same reason: with single words the
//! compiler gathers them into vectors between two blocks, which costs more than it saves.

use std::collections::TryReserveError;

use zeroize::{Zeroize, Zeroizing};

/// What the mixing function works on: 64 bytes as sixteen little-endian words, two in each number,
/// the first in its lower half.
type Block = [u64; 8];

/// The bytes of a block.
const BLOCK: usize = 64;

/// The cost of one run.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    /// How many states are kept, a power of two above 1 and at most 2^32.
    pub(super) n: usize,
    /// Pairs of blocks in a state.
    pub(super) r: usize,
    /// How many runs, one after the other, each with a part of its own of the input.
    pub(super) p: usize,
}

/// Memory that is wiped when it is given back, at once and not word by word.
struct Wiped(Vec<Block>);

impl Wiped {
    fn with_capacity(blocks: usize) -> Result<Wiped, TryReserveError> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks)?;
        Ok(Wiped(memory))
    }

    fn zeros(blocks: usize) -> Result<Wiped, TryReserveError> {
        let mut memory = Wiped::with_capacity(blocks)?;
        memory.0.resize(blocks, [0; 8]);
        Ok(memory)
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

/// Derives a key as long as `key`.
///
/// Fails when there is not enough memory: 128·r·n bytes, and 128·r·(p + 2).
pub(super) fn scrypt(
    password: &[u8],
    salt: &[u8],
    cost: Cost,
    key: &mut [u8],
) -> Result<(), TryReserveError> {
    let Cost { n, r, p } = cost;
    let mut input = Vec::new();
    input.try_reserve_exact(128 * r * p)?;
    input.resize(128 * r * p, 0);
    let mut input = Zeroizing::new(input);
    let mut memory = Wiped::with_capacity(2 * r * n)?;
    let (mut state, mut spare) = (Wiped::zeros(2 * r)?, Wiped::zeros(2 * r)?);

    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, 1, &mut input);
    for part in input.chunks_exact_mut(128 * r) {
        mix_memory(part, n, &mut memory.0, &mut state.0, &mut spare.0);
    }
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &input, 1, key);
    Ok(())
}

/// Mixes one part of the input in place (RFC 7914: scryptROMix). `memory` has room for n states.
fn mix_memory(
    part: &mut [u8],
    n: usize,
    memory: &mut Vec<Block>,
    state: &mut [Block],
    spare: &mut [Block],
) {
    let width = state.len();
    for (block, bytes) in state.iter_mut().zip(part.chunks_exact(BLOCK)) {
        *block = block_of(bytes);
    }
    // State and spare take turns. n is even.
    memory.clear();
    for _ in 0..n / 2 {
        memory.extend_from_slice(state);
        mix_state(state, spare);
        memory.extend_from_slice(spare);
        mix_state(spare, state);
    }
    let remembered = |state: &[Block]| {
        // The last block as a number, modulo n.
        let at = state[width - 1][0] as usize & (n - 1);
        at * width..(at + 1) * width
    };
    for _ in 0..n / 2 {
        add(state, &memory[remembered(state)]);
        mix_state(state, spare);
        add(spare, &memory[remembered(spare)]);
        mix_state(spare, state);
    }
    for (block, bytes) in state.iter().zip(part.chunks_exact_mut(BLOCK)) {
        for (pair, bytes) in block.iter().zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&pair.to_le_bytes());
        }
    }
}

fn block_of(bytes: &[u8]) -> Block {
    let (pairs, _) = bytes.as_chunks::<8>();
    let mut block = [0; 8];
    for (pair, bytes) in block.iter_mut().zip(pairs) {
        *pair = u64::from_le_bytes(*bytes);
    }
    block
}

/// Adds one state to another, without carry.
fn add(state: &mut [Block], other: &[Block]) {
    for (block, other) in state.iter_mut().zip(other) {
        add_block(block, other);
    }
}

#[inline(always)]
fn add_block(block: &mut Block, other: &Block) {
    for (pair, other) in block.iter_mut().zip(other) {
        *pair ^= other;
    }
}

/// Mixes a state (RFC 7914: scryptBlockMix). Blocks with even numbers come out in the first half.
fn mix_state(state: &[Block], out: &mut [Block]) {
    let mut chained = state[state.len() - 1];
    let (even, odd) = out.split_at_mut(state.len() / 2);
    for ((pair, even), odd) in state.chunks_exact(2).zip(even).zip(odd) {
        mix_block(&mut chained, &pair[0]);
        *even = chained;
        mix_block(&mut chained, &pair[1]);
        *odd = chained;
    }
}

/// Adds a block to the chained one and mixes it: Salsa20 with 8 rounds, a column round and a row round
/// at a time.
#[inline(always)]
fn mix_block(chained: &mut Block, next: &Block) {
    add_block(chained, next);
    // Names and not an array: so the words live in registers.
    let [(mut x0, mut x1), (mut x2, mut x3), (mut x4, mut x5), (mut x6, mut x7), ..] =
        chained.map(words);
    let [.., (mut x8, mut x9), (mut x10, mut x11), (mut x12, mut x13), (mut x14, mut x15)] =
        chained.map(words);
    macro_rules! quarter {
        ($a:ident, $b:ident, $c:ident, $d:ident) => {
            $b ^= $a.wrapping_add($d).rotate_left(7);
            $c ^= $b.wrapping_add($a).rotate_left(9);
            $d ^= $c.wrapping_add($b).rotate_left(13);
            $a ^= $d.wrapping_add($c).rotate_left(18);
        };
    }
    for _ in 0..4 {
        quarter!(x0, x4, x8, x12);
        quarter!(x5, x9, x13, x1);
        quarter!(x10, x14, x2, x6);
        quarter!(x15, x3, x7, x11);

        quarter!(x0, x1, x2, x3);
        quarter!(x5, x6, x7, x4);
        quarter!(x10, x11, x8, x9);
        quarter!(x15, x12, x13, x14);
    }
    let mixed =
        [(x0, x1), (x2, x3), (x4, x5), (x6, x7), (x8, x9), (x10, x11), (x12, x13), (x14, x15)];
    for (pair, mixed) in chained.iter_mut().zip(mixed) {
        let (low, high) = words(*pair);
        let (low, high) = (low.wrapping_add(mixed.0), high.wrapping_add(mixed.1));
        *pair = u64::from(high) << 32 | u64::from(low);
    }
}

/// The two words of a pair.
#[inline(always)]
fn words(pair: u64) -> (u32, u32) {
    (pair as u32, (pair >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    fn blocks(hex: &str) -> Vec<Block> {
        bytes(hex).chunks(BLOCK).map(block_of).collect()
    }

    /// RFC 7914, section 9 (and 10: the same input).
    const STATE: &str = "
        f7ce0b653d2d72a4108cf5abe912ffdd 777616dbbb27a70e8204f3ae2d0f6fad
        89f68f4811d1e87bcc3bd7400a9ffd29 094f0184639574f39ae5a1315217bcd7
        894991447213bb226c25b54da86370fb cd984380374666bb8ffcb5bf40c254b0
        67d27c51ce4ad5fed829c90b505a571b 7f4d1cad6a523cda770e67bceaaf7e89";

    #[test]
    fn the_block_function_gives_the_published_output() {
        // RFC 7914, section 8.
        let input = blocks(
            "7e879a214f3ec9867ca940e641718f26 baee555b8c61c1b50df846116dcd3b1d
             ee24f319df9b3d8514121e4b5ac5aa32 76021d2909c74829edebc68db8b8c25e",
        );
        let output = blocks(
            "a41f859c6608cc993b81cacb020cef05 044b2181a2fd337dfd7b1c6396682f29
             b4393168e3c9e6bcfe6bc5b7a06d96ba e424cc102c91745c24ad673dc7618f81",
        );
        let mut block = [0; 8];
        mix_block(&mut block, &input[0]);
        assert_eq!(block, output[0]);
    }

    #[test]
    fn the_state_function_gives_the_published_output() {
        let output = blocks(
            "a41f859c6608cc993b81cacb020cef05 044b2181a2fd337dfd7b1c6396682f29
             b4393168e3c9e6bcfe6bc5b7a06d96ba e424cc102c91745c24ad673dc7618f81
             20edc975323881a80540f64c162dcd3c 21077cfe5f8d5fe2b1a4168f953678b7
             7d3b3d803b60e4ab920996e59b4d53b6 5d2a225877d5edf5842cb9f14eefe425",
        );
        let mut mixed = vec![[0; 8]; 2];
        mix_state(&blocks(STATE), &mut mixed);
        assert_eq!(mixed, output);
    }

    #[test]
    fn the_memory_function_gives_the_published_output() {
        // RFC 7914, section 10.
        let output = bytes(
            "79ccc193629debca047f0b70604bf6b6 2ce3dd4a9626e355fafc6198e6ea2b46
             d58413673b99b029d665c357601fb426 a0b2f4bba200ee9f0a43d19b571a9c71
             ef1142e65d5a266fddca832ce59faa7c ac0b9cf1be2bffca300d01ee387619c4
             ae12fd4438f203a0e4e1c47ec314861f 4e9087cb33396a6873e8f9d2539a4b8e",
        );
        let mut part = bytes(STATE);
        let (mut state, mut spare) = (vec![[0; 8]; 2], vec![[0; 8]; 2]);
        mix_memory(&mut part, 16, &mut Vec::new(), &mut state, &mut spare);
        assert_eq!(part, output);
    }
}
