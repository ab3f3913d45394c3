//! Numbers in no order that are the same in every run; it must not know what they are for.

/// Different numbers for different ones, in no order (the constants are those of Knuth's MMIX).
pub fn scatter(number: u64) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 24
}
