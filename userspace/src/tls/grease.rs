//! GREASE: reserved values that clients send at random so that servers keep ignoring the unknown. Must not
//! know where they stood.

/// Whether a 16-bit code point is one of the sixteen GREASE values 0x0A0A, 0x1A1A, … 0xFAFA (RFC 8701,
/// section 2).
pub(super) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// The values without GREASE, in the order in which they were sent.
pub(super) fn without_grease(values: impl IntoIterator<Item = u16>) -> Vec<u16> {
    values.into_iter().filter(|&value| !is_grease(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::is_grease;

    #[test]
    fn there_are_sixteen_grease_values() {
        let all: Vec<u16> = (0..=u16::MAX).filter(|&value| is_grease(value)).collect();
        assert_eq!(all.len(), 16);
        assert_eq!((all.first(), all.last()), (Some(&0x0a0a), Some(&0xfafa)));
        assert!(!is_grease(0x0a1a) && !is_grease(0x1a0a), "both bytes have to be the same");
    }
}
