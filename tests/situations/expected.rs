//! What must be found in a situation; it must not know what the situation is.

/// What must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Quiet,
    /// One finding like this, and no other.
    Finding(Wanted),
}

/// A finding that must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) code: &'static str,
    pub(crate) cause: &'static str,
    /// `A or B` where the server's own threads race.
    pub(crate) behaviour: &'static str,
    /// As which the listener must be known, if it must.
    pub(crate) protocol: Option<&'static str>,
    /// How sure the live tracer must be; a capture knows less.
    pub(crate) confidence: &'static str,
}
