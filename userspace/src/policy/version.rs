//! Versions of Istio, and what each does with headless Services of its own accord. Pure.

/// A version as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number.
    pub patch: u16,
}

impl Version {
    /// Made of its numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads the tag of an image, such as `1.20.3-distroless`; none for what is no version, such as `latest`.
    ///
    /// A tag without a third number is some release of that line: taken for its newest, so that no fault of an early one is
    /// blamed.
    pub fn parse(tag: &str) -> Option<Self> {
        let numbers = tag.split(['-', '+', '_']).next()?;
        let mut parts = numbers.split('.');
        let mut number = || parts.next().map(str::parse::<u16>);
        let (major, minor) = (number()?.ok()?, number()?.ok()?);
        let patch = number().unwrap_or(Ok(u16::MAX)).ok()?;
        Some(Self { major, minor, patch })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch == u16::MAX { Ok(()) } else { write!(f, ".{}", self.patch) }
    }
}

/// What sidecars do with destinations whose address the app chooses (headless Services and the like), where no rule says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inference {
    /// Always mTLS.
    AlwaysMtls,
    /// Never mTLS.
    NeverMtls,
    /// mTLS where every endpoint can do it, else plaintext to all.
    AllEndpoints,
}

/// By version (istio#21964, #23673, #24319, #25829, #27105, #28642; `BestEffortInferServiceMTLSMode`).
pub fn inference(version: Version) -> Inference {
    let is_between = |first: Version, last: Version| first <= version && version <= last;
    let line = |minor, first, last| is_between(Version::new(1, minor, first), Version::new(1, minor, last));
    if line(5, 0, u16::MAX) || line(6, 0, 5) {
        return Inference::AlwaysMtls;
    }
    if version < Version::new(1, 7, 5) { Inference::NeverMtls } else { Inference::AllEndpoints }
}

#[cfg(test)]
mod tests {
    use super::{Inference, Version, inference};

    #[test]
    fn tags_are_read() {
        for (tag, expected) in [
            ("1.20.3", Some(Version::new(1, 20, 3))),
            ("1.20.3-distroless", Some(Version::new(1, 20, 3))),
            ("1.6.0-beta.1", Some(Version::new(1, 6, 0))),
            ("1.31-alpha.0f1e2d", Some(Version::new(1, 31, u16::MAX))),
            ("latest", None),
            ("", None),
            ("1", None),
            ("1.x.3", None),
            ("v1.20.3", None),
            ("70000.1.1", None),
        ] {
            assert_eq!(Version::parse(tag), expected, "{tag}");
        }
        assert_eq!(Version::new(1, 6, 5).to_string(), "1.6.5");
        assert_eq!(Version::new(1, 31, u16::MAX).to_string(), "1.31");
    }

    #[test]
    fn releases_do_different_things_with_headless_services() {
        for (tag, expected) in [
            ("1.3.8", Inference::NeverMtls),
            ("1.4.10", Inference::NeverMtls),
            ("1.5.0", Inference::AlwaysMtls),
            ("1.5.10", Inference::AlwaysMtls),
            ("1.6.0", Inference::AlwaysMtls),
            ("1.6.5", Inference::AlwaysMtls),
            ("1.6.6", Inference::NeverMtls),
            ("1.6.14", Inference::NeverMtls),
            ("1.7.0", Inference::NeverMtls),
            ("1.7.4", Inference::NeverMtls),
            ("1.7.5", Inference::AllEndpoints),
            ("1.8.0", Inference::AllEndpoints),
            ("1.31.0", Inference::AllEndpoints),
        ] {
            assert_eq!(inference(Version::parse(tag).unwrap()), expected, "{tag}");
        }
    }
}
