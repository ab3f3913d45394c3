//! Whether a connection's accepting end is in the network stack that was captured, told from the way that its packets went; must not know
//! segments or files.

use crate::{
    event::{
        Event,
        socket::{Reached, SocketId},
        time::Time,
    },
    source::capture::{link::Way, order::Ordered},
};

/// What the packets of a connection tell so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stack {
    /// No packet came yet.
    #[default]
    NotKnown,
    /// All that the client sends comes in, and all that the server sends goes out: as in the server's pod. A node that passes packets on
    /// sees them come in and go out again.
    Accepts,
    /// It is another one, or only one interface was captured.
    Other,
}

impl Stack {
    /// A packet of an end went this way.
    pub(super) fn saw(&mut self, way: Way, is_from_client: bool) {
        let is_as_accepted = way == if is_from_client { Way::In } else { Way::Out };
        *self = if is_as_accepted && *self != Self::Other { Self::Accepts } else { Self::Other };
    }

    /// Tells of a connect that was answered.
    pub(super) fn tell(self, time: Time, socket: SocketId, events: &mut Ordered) {
        if self == Self::Accepts {
            events.push(Event::Reached(Reached { time, socket }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Stack,
        Way::{In, NotKnown, Out, Past},
    };

    #[test]
    fn the_accepting_stack_has_what_comes_in_and_what_goes_out() {
        for (what, packets, expected) in [
            ("nothing", &[][..], Stack::NotKnown),
            ("the server's pod", &[(In, true), (Out, false), (In, true)], Stack::Accepts),
            ("the client's pod", &[(Out, true), (In, false)], Stack::Other),
            ("their node", &[(In, true), (Out, true), (In, false), (Out, false)], Stack::Other),
            ("a node that passes the answer on", &[(In, true), (In, false), (Out, false)], Stack::Other),
            ("a bridge", &[(Past, true), (In, true), (Out, false)], Stack::Other),
            ("one interface", &[(NotKnown, true), (NotKnown, false)], Stack::Other),
        ] {
            let mut stack = Stack::default();
            for (way, is_from_client) in packets {
                stack.saw(*way, *is_from_client);
            }
            assert_eq!(stack, expected, "{what}");
        }
    }
}
