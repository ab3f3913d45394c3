//! The closed sets of names in the JSON contract; must not know in which objects they are.

use schemars::JsonSchema;
use serde::Serialize;

use crate::update::{
    Behaviour as CoreBehaviour, Confidence as CoreConfidence, EndedBy as CoreEndedBy,
    EndedHow as CoreEndedHow, Role as CoreRole, suspicion::Suspicion as CoreSuspicion,
};

/// Makes an enum that is written as a name, from one of the core's. A variant that the core gains does not compile here
/// until it has a name in the contract.
macro_rules! names {
    ($( $(#[$meta:meta])* $name:ident = $core:ident { $( $(#[$variant_meta:meta])* $variant:ident, )+ } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schemars(inline)]
        pub(super) enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl From<$core> for $name {
            fn from(from: $core) -> Self {
                match from { $( $core::$variant => Self::$variant, )+ }
            }
        }

        #[cfg(test)]
        impl $name {
            /// The name in the core, and the one in the contract.
            fn both_names() -> Vec<(&'static str, String)> {
                [$( $core::$variant, )+]
                    .into_iter()
                    .map(|core| (core.name(), serde_json::to_value(Self::from(core)).unwrap().as_str().unwrap().to_owned()))
                    .collect()
            }
        }
    )+ };
}

names! {
    /// Which end of a connection is told of.
    Role = CoreRole {
        /// The end that connected.
        Connector,
        /// The end that was accepted from a listener.
        Acceptor,
        /// Not known: the connection is older than the tracer.
        Unknown,
    }

    /// What a listener did with a connection.
    Behaviour = CoreBehaviour {
        /// It answered with a TLS handshake.
        Tls,
        /// It answered with a TLS alert.
        TlsAlert,
        /// It answered with something else.
        Plaintext,
        /// It sent a greeting, before the hello or beside it: what came is no answer.
        SpokeFirst,
        /// It took the bytes and answered nothing until the client gave up.
        Silent,
        /// It closed without an answer.
        Closed,
        /// It reset without an answer.
        Reset,
        /// Nobody listened.
        Refused,
        /// There was no way to it.
        Unreachable,
        /// The connect was never answered.
        Timeout,
    }

    /// Who ended a connection.
    EndedBy = CoreEndedBy {
        /// The connecting end.
        Client,
        /// The listener's end.
        Server,
        /// Both: at the same time, or who was first is not known.
        Both,
        /// The network: a timeout or an unreachable host.
        Network,
    }

    /// How a connection ended.
    EndedHow = CoreEndedHow {
        /// By FIN.
        Fin,
        /// By RST.
        #[serde(rename = "rst")]
        Reset,
        /// The connect failed or the connection broke, with an errno.
        Error,
        /// The connect was given up before it was answered.
        GivenUp,
    }

    /// Why the end of a connection is suspect.
    Suspicion = CoreSuspicion {
        /// The client sent a little, and got nothing before it was over.
        Unanswered,
        /// It was over after a few bytes each way.
        CutShort,
        /// Nobody listened.
        Refused,
        /// The socket had another error.
        Failed,
    }

    /// How sure a finding is.
    Confidence = CoreConfidence {
        /// It looks like it; nothing is known of the destination.
        Possible,
        /// It looks like it, and the destination has no proxy.
        Likely,
        /// There is direct evidence that the listener speaks plaintext.
        Certain,
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, Confidence, EndedBy, EndedHow, Role, Suspicion};

    #[test]
    fn the_contract_has_the_names_of_the_core() {
        let names = [
            Role::both_names(),
            Behaviour::both_names(),
            EndedBy::both_names(),
            EndedHow::both_names(),
            Suspicion::both_names(),
            Confidence::both_names(),
        ];
        for (core, contract) in names.into_iter().flatten() {
            assert_eq!(core, contract);
        }
    }
}
