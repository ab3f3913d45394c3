//! What an answer shows: what a listener speaks, and that a client reaches it. Pure.

use crate::{
    engine::{Engine, destination, incident::Success},
    event::socket::SocketId,
    flow::{Flow, answer, hello::Reading},
    listener::Exchange,
    update::{Behaviour, Role, Update},
};

impl Engine {
    /// A listener said its first bytes.
    pub(super) fn answered(&mut self, socket: SocketId, updates: &mut Vec<Update>) {
        let Some(flow) = self.flows.get(socket) else { return };
        let Some(answer) = flow.answer.as_ref() else { return };
        let had_hello = !matches!(flow.hello, Reading::None);
        let guessed = answer.guess().map(|guess| guess.protocol);
        let protocol = guessed.or_else(|| flow.client_class.and_then(answer::client_protocol));
        let exchange = Exchange { time: answer.time, client: flow.client(), protocol };
        let spoke_alike = if had_hello {
            answer.behaviour() == Behaviour::Tls
        } else {
            !answer.is_tls() && (flow.client_class.is_some() || answer.is_crossing)
        };
        // What a sidecar answers to its own app says nothing of the destination.
        if !flow.is_intercepted() {
            let destination = destination(flow);
            if !answer.is_tls() {
                self.listeners.answered_plaintext(destination, exchange);
                if answer.is_crossing && !had_hello {
                    self.listeners.greeted(destination, exchange);
                }
            } else if had_hello {
                let is_of_mesh = flow.client_hello().is_some_and(|hello| hello.mesh.is_some());
                self.listeners.answered_tls(destination, exchange, is_of_mesh);
            }
        }
        if spoke_alike && !flow.is_told_by_client() && self.incidents.has_failing(flow.server()) {
            self.succeeded(socket, exchange, had_hello, updates);
        }
    }

    fn succeeded(&mut self, socket: SocketId, exchange: Exchange, was_tls: bool, updates: &mut Vec<Update>) {
        let Some(flow) = self.flows.get(socket) else { return };
        let (client, _) = self.parties(flow);
        let success = success(flow, &client, exchange, was_tls, false);
        self.incidents.succeeded(&success, updates);
    }

    /// A connection has ended without a finding: if the application behind the proxy got an answer too, the handshake was no
    /// more than a beginning.
    pub(super) fn ended_well(&mut self, flow: &Flow, updates: &mut Vec<Update>) {
        let is_awaited = self.incidents.has_failing(flow.server());
        let Some(answer) = flow.answer.as_ref().filter(|_| is_awaited) else { return };
        let Some(leg) = self.joins.leg_of(flow.socket) else { return };
        let said = self.said_on(leg);
        let reached_app = said.answer.is_some() && said.hello.is_none();
        if answer.behaviour() != Behaviour::Tls || !reached_app {
            return;
        }
        let exchange = Exchange { time: self.now, client: flow.client(), protocol: None };
        let (client, _) = self.parties(flow);
        let success = success(flow, &client, exchange, true, true);
        self.incidents.succeeded(&success, updates);
    }
}

fn success<'a>(
    flow: &'a Flow,
    client: &'a crate::update::Party,
    exchange: Exchange,
    was_tls: bool,
    reached_app: bool,
) -> Success<'a> {
    let owner = (flow.role == Role::Connector).then_some(&flow.owner);
    Success { client, owner, server: flow.server(), exchange, was_tls, reached_app }
}
