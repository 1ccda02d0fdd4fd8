//! What the jobs of an open file do that move bytes: as much as one job may, then on in the next.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::job::{BYTES_PER_JOB, Step};
use super::whole::write_all;
use crate::state::current;
use crate::sys;

/// Reads until `len` bytes are there, or less comes than was asked for.
pub(super) fn read_on(
    file: Arc<fs::File>,
    mut data: Vec<u8>,
    len: usize,
    offset: Option<u64>,
) -> io::Result<Step<Vec<u8>>> {
    let left = len - data.len();
    // Memory for as much as has come already, or for one job: `len` may be far beyond what there
    // is.
    if data.capacity() - data.len() < left.min(BYTES_PER_JOB) {
        data.try_reserve_exact(left.min(data.len().max(BYTES_PER_JOB)))?;
    }
    let full = data.len() + left.min(BYTES_PER_JOB);
    while data.len() < full {
        let asked = full - data.len();
        let at = offset.map(|offset| offset.saturating_add(data.len() as u64));
        let given = current::with_chance(|chance| chance.read_len(asked)).unwrap_or(asked);
        let count = sys::file::read_spare(&file, &mut data, given, at)?;
        if count < asked {
            // A pipe may give a few bytes at a time, and they may wait in a queue.
            if data.len() < data.capacity() / 2 {
                data.shrink_to_fit();
            }
            return Ok(Step::Done(data));
        }
    }
    if data.len() == len {
        return Ok(Step::Done(data));
    }
    Ok(Step::more(move || read_on(file, data, len, offset)))
}

/// Reads once into buffers of these lengths, and cuts them to what came.
pub(super) fn read_buffers(
    file: &fs::File,
    lens: &[usize],
    offset: Option<u64>,
) -> io::Result<Vec<Vec<u8>>> {
    let mut buffers = Vec::with_capacity(lens.len());
    let mut room = BYTES_PER_JOB;
    for &len in lens {
        // As the kernel may, this reads fewer than were asked for.
        let len = len.min(room);
        room -= len;
        buffers.push(vec![0; len]);
    }
    // Only those with room: the system takes so many, and of empty ones alone it would read the
    // end.
    let with_room = buffers.iter_mut().filter(|buffer| !buffer.is_empty());
    let mut slices: Vec<_> = with_room.map(|buffer| IoSliceMut::new(buffer)).collect();
    if slices.is_empty() {
        slices.push(IoSliceMut::new(&mut [])); // Some systems refuse a call without any.
    }
    let mut left = sys::file::read_vectored(file, &mut slices, offset)?;
    for buffer in &mut buffers {
        let filled = left.min(buffer.len());
        buffer.truncate(filled);
        left -= filled;
    }
    Ok(buffers)
}

/// Buffers that are being written.
pub(super) struct Writing {
    /// What is written, in this order.
    buffers: Vec<Vec<u8>>,
    /// The first buffer that has not gone whole, and how much of it has.
    first: usize,
    /// Bytes of that buffer that have gone.
    sent: usize,
    /// Where the first byte goes, if not to the file's own offset.
    offset: Option<u64>,
    /// Bytes that have gone.
    total: usize,
}

impl Writing {
    pub(super) fn new(buffers: Vec<Vec<u8>>, offset: Option<u64>) -> Writing {
        Writing { buffers, first: 0, sent: 0, offset, total: 0 }
    }

    pub(super) fn go_on(mut self, file: Arc<fs::File>) -> io::Result<Step<usize>> {
        let full = self.total.saturating_add(BYTES_PER_JOB);
        loop {
            self.skip_finished();
            if self.first == self.buffers.len() {
                return Ok(Step::Done(self.total));
            }
            if self.total >= full {
                return Ok(Step::more(move || self.go_on(file)));
            }
            match self.write_once(&file, full - self.total)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.advance(count),
            }
        }
    }

    /// Writes what one call takes of at most `room` bytes.
    fn write_once(&self, file: &fs::File, room: usize) -> io::Result<usize> {
        let mut room = room;
        let mut slices = Vec::new();
        let mut skip = self.sent;
        for buffer in &self.buffers[self.first..] {
            let rest = &buffer[std::mem::take(&mut skip)..];
            if rest.is_empty() {
                continue;
            }
            let taken = &rest[..rest.len().min(room)];
            slices.push(IoSlice::new(taken));
            room -= taken.len();
            if room == 0 || slices.len() == sys::file::MAX_BUFFERS {
                break;
            }
        }
        let at = self.offset.map(|offset| offset.saturating_add(self.total as u64));
        sys::file::write_vectored(file, &slices, at)
    }

    fn advance(&mut self, mut count: usize) {
        self.total += count;
        while count > 0 {
            let rest = self.buffers[self.first].len() - self.sent;
            let taken = count.min(rest);
            self.sent += taken;
            count -= taken;
            self.skip_finished();
        }
    }

    /// Goes past buffers of which nothing is left.
    fn skip_finished(&mut self) {
        while self.buffers.get(self.first).is_some_and(|buffer| buffer.len() == self.sent) {
            self.first += 1;
            self.sent = 0;
        }
    }
}

/// A part of one file that is being written to another.
pub(super) struct Sending {
    /// Where the bytes come from.
    source: Arc<fs::File>,
    /// Where they go, at its own offset.
    target: Arc<fs::File>,
    /// Where the part begins in the source.
    offset: u64,
    /// How many bytes the part has at most.
    len: usize,
    /// Bytes that have gone.
    sent: usize,
}

impl Sending {
    pub(super) fn new(
        source: Arc<fs::File>,
        target: Arc<fs::File>,
        offset: u64,
        len: usize,
    ) -> Sending {
        Sending { source, target, offset, len, sent: 0 }
    }

    pub(super) fn go_on(mut self) -> io::Result<Step<usize>> {
        let mut buffer = vec![0; self.len.min(64 * 1024)];
        let full = self.len.min(self.sent.saturating_add(BYTES_PER_JOB));
        while self.sent < full {
            let asked = buffer.len().min(full - self.sent);
            let at = self.offset.saturating_add(self.sent as u64);
            let count = match self.source.read_at(&mut buffer[..asked], at) {
                Ok(0) => return Ok(Step::Done(self.sent)),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            write_all(&self.target, &buffer[..count])?;
            self.sent += count;
        }
        if self.sent == self.len {
            return Ok(Step::Done(self.sent));
        }
        Ok(Step::more(move || self.go_on()))
    }
}
