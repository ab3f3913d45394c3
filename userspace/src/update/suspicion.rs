//! Why the end of a connection is suspect, as sinks are told. Pure data.

/// Why the end of a connection is suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suspicion {
    /// The client sent a little, and got nothing before it was over.
    Unanswered,
    /// It was over after a few bytes each way.
    CutShort,
    /// Nobody listened.
    Refused,
    /// The socket had another error: no route, no answer to the connect, a broken connection.
    Failed,
}

impl Suspicion {
    /// Every one, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Refused, Self::Unanswered, Self::CutShort, Self::Failed];

    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::CutShort => "cut-short",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
