//! A connection as a row of fixed columns, as a live stream needs them; must not know other rows.

use std::fmt::{self, Write};

use crate::{
    protocol::Protocol,
    sink::terminal::{
        palette::Palette,
        text::{duration, endpoint, fitted, size, time_of_day},
    },
    update::{Behaviour, Connection, Role},
};

/// A column: its name, how wide it is, and on which side its text is.
struct Column {
    name: &'static str,
    width: usize,
    is_number: bool,
}

const fn text(name: &'static str, width: usize) -> Column {
    Column { name, width, is_number: false }
}

const fn number(name: &'static str, width: usize) -> Column {
    Column { name, width, is_number: true }
}

const COLUMNS: [Column; 11] = [
    text("TIME (UTC)", 12),
    text("ROLE", 9),
    text("PROCESS", 15),
    text("CLIENT", 30),
    text("SERVER", 30),
    text("SPOKE", 12),
    text("LISTENER", 11),
    text("ENDED", 15),
    number("DURATION", 8),
    number("SENT", 8),
    number("RECEIVED", 8),
];

/// Writes the names of the columns.
pub(super) fn header(out: &mut dyn Write, palette: Palette) -> fmt::Result {
    let style = palette.label;
    write!(out, "{style}")?;
    cells(out, &COLUMNS.map(|column| column.name.to_owned()))?;
    writeln!(out, "{style:#}")
}

/// Writes the row of a connection.
pub(super) fn connection(out: &mut dyn Write, connection: &Connection) -> fmt::Result {
    let [.., client, server, _, _, _, _, _, _] = COLUMNS.map(|column| column.width);
    let outcome = &connection.outcome;
    cells(
        out,
        &[
            time_of_day(connection.time),
            connection.role.name().to_owned(),
            process(connection).unwrap_or("-").to_owned(),
            endpoint(&connection.client, client),
            endpoint(&connection.server, server),
            spoke(connection),
            connection.listener.behaviour.map_or("-", Behaviour::name).to_owned(),
            format!("{} {}", outcome.ended_by.name(), outcome.how.name()),
            connection
                .opened
                .map_or_else(|| "-".to_owned(), |opened| duration(connection.time.since_ns(opened))),
            size(outcome.bytes_sent),
            size(outcome.bytes_received),
        ],
    )?;
    out.write_str(if connection.began_before { "  began before tracing" } else { "" })?;
    if let Some(suspicion) = connection.suspicion {
        write!(out, "  suspect: {}", suspicion.name())?;
    }
    writeln!(out, "{}", if connection.incomplete { "  incomplete" } else { "" })
}

fn cells(out: &mut dyn Write, cells: &[String; COLUMNS.len()]) -> fmt::Result {
    for (index, (cell, Column { width, is_number, .. })) in cells.iter().zip(COLUMNS).enumerate() {
        let gap = if index == 0 { "" } else { "  " };
        let cell = fitted(cell, width);
        if is_number {
            write!(out, "{gap}{cell:>width$}")?;
        } else {
            write!(out, "{gap}{cell:<width$}")?;
        }
    }
    Ok(())
}

/// The process at the end that the row is of.
fn process(connection: &Connection) -> Option<&str> {
    let (client, server) = (connection.client.process.as_deref(), connection.server.process.as_deref());
    match connection.role {
        Role::Connector => client,
        Role::Acceptor => server,
        Role::Unknown => client.or(server),
    }
}

/// What the client began with, or else what the listener speaks.
fn spoke(connection: &Connection) -> String {
    let Some(hello) = &connection.client_hello else {
        let protocol = connection.client_protocol.or(connection.listener.protocol);
        return protocol.map_or("-", Protocol::name).to_owned();
    };
    hello.mesh.map_or_else(|| "tls".to_owned(), |mesh| format!("{mesh} mtls"))
}
