//! `send`: a recording to standard output, and its checksum to standard error, for who fetches it out of a container that has no other
//! program; must not know who that is.

use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    notice,
    outcome::{Outcome, OutputError},
    recording,
};

/// Sends as much as there is of the file now: who records may go on.
pub fn send(path: &Path) -> Result<Outcome> {
    let file = File::open(path).with_context(|| {
        format!(
            "cannot open {}. Likely cause: nothing is recorded there; `agent` records where `write` in its configuration says",
            path.display()
        )
    })?;
    let length_bytes = file.metadata().with_context(|| format!("cannot look at {}", path.display()))?.len();
    let mut input = file.take(length_bytes);
    let mut beginning = Vec::new();
    let magic_bytes = recording::MAGIC.len() as u64;
    (&mut input).take(magic_bytes).read_to_end(&mut beginning)?;
    if beginning != recording::MAGIC {
        bail!("{} is no recording of mtlsnoop, and nothing else is sent", path.display());
    }
    let mut output = Summed { out: io::stdout().lock(), digest: Sha256::new(), length_bytes: 0 };
    let sent = output
        .write_all(&beginning)
        .and_then(|()| io::copy(&mut input, &mut output))
        .and_then(|_| output.flush());
    sent.map_err(OutputError::from)?;
    notice::say(output.sum());
    Ok(Outcome::Done)
}

/// Counts and digests what goes through.
struct Summed<W> {
    out: W,
    digest: Sha256,
    length_bytes: u64,
}

impl<W: Write> Summed<W> {
    /// `sha256 HEX BYTES`
    fn sum(self) -> String {
        format!("sha256 {} {}", HEXLOWER.encode(&self.digest.finalize()), self.length_bytes)
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.length_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sha2::{Digest as _, Sha256};

    use super::Summed;

    /// Takes two bytes at a time.
    struct Slow(Vec<u8>);

    impl std::io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(2);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// FIPS 180-2, appendix B.1: the digest of `abc`.
    #[test]
    fn the_sum_is_of_all_that_was_written() {
        let mut summed = Summed { out: Slow(Vec::new()), digest: Sha256::new(), length_bytes: 0 };
        summed.write_all(b"abc").unwrap();
        assert_eq!(summed.out.0, b"abc");
        assert_eq!(summed.sum(), "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3");
    }
}
