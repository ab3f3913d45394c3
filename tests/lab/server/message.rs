//! RabbitMQ and NATS; it must not know what is asked of them.

use std::fs;

use anyhow::Result;

use super::Probe;
use crate::container::Container;
use crate::process::Process;
use crate::program;

/// AMQP 0-9-1, section 4.2.2: the protocol header. The answer is a method frame on channel 0.
const RABBITMQ: Probe = Probe::Answers { request: b"AMQP\x00\x00\x09\x01", answer: &[1, 0, 0] };

pub(super) fn rabbitmq(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let folder = container.folder();
    let plugins = folder.join("enabled_plugins");
    fs::write(&plugins, "[].\n")?;
    let launch = container
        // The one in sbin would change the user by itself and log to the system's folder.
        .command("/usr/lib/rabbitmq/bin/rabbitmq-server")
        .as_user("rabbitmq")?
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", "lab@localhost")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_PID_FILE", folder.join("pid"));
    Ok((launch.start()?, RABBITMQ))
}

pub(super) fn nats(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let process = container
        .command(program::system("nats-server")?)
        .as_user("nats")?
        .args(["-a", "::", "-p", &port.to_string()])
        .start()?;
    Ok((process, Probe::Greets))
}
