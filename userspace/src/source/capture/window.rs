//! The bytes of a file, a large piece at a time; must not know what they mean.

use std::io::{self, Read};

/// How much is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// No packet or block is longer: the longest that libpcap writes are of 256 KiB (`MAXIMUM_SNAPLEN`, pcap-int.h).
pub(super) const BLOCK_BYTES_MAX: usize = 16 << 20;

/// A part of a file in memory, and where it is.
#[derive(Debug)]
pub(super) struct Window<R> {
    from: R,
    buffer: Vec<u8>,
    /// What was not consumed yet.
    begin: usize,
    end: usize,
    /// Where `begin` is in the file.
    offset: u64,
    is_at_end: bool,
}

impl<R: Read> Window<R> {
    /// Nothing is read yet.
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: vec![0; PIECE_BYTES], begin: 0, end: 0, offset: 0, is_at_end: false }
    }

    /// What was read and not consumed.
    pub(super) fn data(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Where what was not consumed begins, in the memory of [`Self::at`].
    pub(super) fn place(&self) -> usize {
        self.begin
    }

    /// Bytes that were read, also those that are consumed; valid until more is read.
    pub(super) fn at(&self, place: usize, bytes: usize) -> &[u8] {
        &self.buffer[place..place + bytes]
    }

    /// Where in the file what was not consumed begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// There is nothing more to read.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// These bytes are done with.
    pub(super) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.begin);
        self.begin += bytes;
        self.offset += bytes as u64;
    }

    /// Reads as much as fits. `false` when it is full already and would be longer than any block is.
    pub(super) fn read_more(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end == self.buffer.len() {
            if self.buffer.len() >= BLOCK_BYTES_MAX {
                return Ok(false);
            }
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        while self.end < self.buffer.len() && !self.is_at_end {
            match self.from.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_at_end = true,
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{BLOCK_BYTES_MAX, PIECE_BYTES, Window};

    /// Gives a few bytes at a time, as pipes do.
    struct Slow(usize);

    impl Read for Slow {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let bytes = to.len().min(1000).min(self.0);
            to[..bytes].fill(7);
            self.0 -= bytes;
            Ok(bytes)
        }
    }

    #[test]
    fn everything_is_read_once_and_its_place_is_known() {
        let length = 3 * PIECE_BYTES + 17;
        let mut window = Window::new(Slow(length));
        let mut read = 0;
        while !window.is_at_end() || !window.data().is_empty() {
            assert_eq!(window.offset(), read as u64);
            let bytes = window.data().len().min(700_001);
            window.consume(bytes);
            read += bytes;
            assert!(window.read_more().unwrap());
        }
        assert_eq!(read, length);
    }

    #[test]
    fn what_is_longer_than_any_block_takes_no_more_memory() {
        let mut window = Window::new(Slow(usize::MAX));
        while window.read_more().unwrap() {}
        assert_eq!(window.data().len(), BLOCK_BYTES_MAX);
    }
}
