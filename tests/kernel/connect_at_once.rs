//! A connect that fails before the kernel sends anything is told once, with its error, whichever tier of hooks sees it; and
//! where none can, it is said to be missing.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop::{
    event::{
        Event,
        socket::{Ended, Opened, State},
    },
    source::kernel::Options,
    update::{Behaviour, EndedBy, EndedHow, Update},
};
use mtlsnoop_ebpf::program;
use nix::libc::{EACCES, EADDRNOTAVAIL, ENETUNREACH};

use crate::{
    accounting::adds_up,
    ground::Ground,
    remote::{End, NAME},
    watch::Watch,
};

const HOOK: &str = "connects that fail at once";

/// Options under which only this variant can be taken; none for the one that tracing takes itself.
fn only(variant: Option<&str>) -> Options {
    let all = [program::CONNECT_V4_EXITED, program::CONNECT_BEGAN];
    let without = all.into_iter().filter(|other| variant.is_some_and(|variant| variant != *other));
    Options { without: without.map(str::to_owned).collect(), ring_bytes: 64 << 20, ..Options::default() }
}

/// Where this directory is, the kernel has kprobes (`perf_kprobe`, kernel/events/core.c).
fn has_probes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").is_dir()
}

/// A tracer with this variant; none, and a word on it, where the kernel cannot have it.
fn start(ground: &Ground, variant: Option<&str>) -> Result<Option<Watch>> {
    let watch = Watch::start_with(ground, &only(variant))?;
    let hook = watch.coverage().iter().find(|hook| hook.name == HOOK).context("no such hook")?;
    if let Some(program) = hook.program {
        ensure!(variant.is_none_or(|variant| variant == program), "{hook}");
        return Ok(Some(watch));
    }
    ensure!(!has_probes(), "this kernel has probes, and yet: {hook}");
    ensure!(hook.to_string().contains("connects without a route are not seen"), "{hook}");
    eprintln!("skipped: this kernel has neither fexit nor kprobes: {hook}");
    Ok(None)
}

/// Every beginning and every end of a connect to this address.
fn told(watch: &Watch, to: SocketAddr) -> (Vec<Opened>, Vec<Ended>) {
    let mut told = (Vec::new(), Vec::new());
    for event in watch.events() {
        match event {
            Event::Opened(opened) if opened.remote == to => told.0.push(opened.clone()),
            Event::Ended(ended) if ended.remote == to && ended.state == State::SynSent => {
                told.1.push(ended.clone());
            }
            _ => {}
        }
    }
    told
}

/// It was told once, as begun by the client and ended with this error, and the numbers add up.
fn check(watch: &mut Watch, ground: &Ground, to: SocketAddr, errno: i32) -> Result<()> {
    let error = errno.unsigned_abs();
    watch.until(&format!("a connect to {to} that fails with {error}"), |event| match event {
        Event::Ended(ended) if ended.remote == to && ended.error == error => Some(()),
        _ => None,
    })?;
    watch.until_accounts("numbers that add up", adds_up)?;
    let (opened, ended) = told(watch, to);
    let ([opened], [ended]) = (&opened[..], &ended[..]) else { panic!("{opened:?} {ended:?}") };
    assert_eq!(opened.socket, ended.socket);
    assert_eq!((opened.owner.pid, opened.owner.process.as_str()), (ground.client.pid(), NAME));
    assert_eq!((opened.owner.netns, ended.netns), (ground.inode()?, ground.inode()?));
    assert!(opened.owner.cgroup != 0 && opened.owner.cgroup == ended.cgroup, "{opened:?}");
    assert_eq!((ended.bytes_sent, ended.bytes_received, ended.last_sent), (0, 0, None));
    Ok(())
}

/// Both tiers, and what tracing takes by itself.
const TIERS: [Option<&str>; 3] = [None, Some(program::CONNECT_V4_EXITED), Some(program::CONNECT_BEGAN)];

#[test]
fn without_a_route() -> Result<()> {
    for tier in TIERS {
        let ground = Ground::new()?;
        let Some(mut watch) = start(&ground, tier)? else { return Ok(()) };
        for (address, told_as) in [
            ("192.0.2.9:7301", "192.0.2.9:7301"),
            ("[2001:db8::9]:7302", "[2001:db8::9]:7302"),
            ("[::ffff:192.0.2.9]:7303", "192.0.2.9:7303"),
        ] {
            let to = address.parse()?;
            assert_eq!(ground.client.open(to)?.connect_in_vain(to)?, ENETUNREACH);
            check(&mut watch, &ground, told_as.parse()?, ENETUNREACH)?;
            let connection = connection(&watch, told_as.parse()?)?;
            assert_eq!(connection, (Some(Behaviour::Unreachable), EndedBy::Network, EndedHow::Error));
        }
    }
    Ok(())
}

#[test]
fn denied_by_the_routes() -> Result<()> {
    for tier in TIERS {
        let ground = Ground::new()?;
        ground.configure("route add prohibit 192.0.2.0/24\n")?;
        let Some(mut watch) = start(&ground, tier)? else { return Ok(()) };
        let to = "192.0.2.9:7304".parse()?;
        assert_eq!(ground.client.open(to)?.connect_in_vain(to)?, EACCES);
        check(&mut watch, &ground, to, EACCES)?;
    }
    Ok(())
}

/// Two connects to one listener, when there is one port.
fn exhaust_ports(ground: &Ground) -> Result<(SocketAddr, [End; 2])> {
    ground.netns.enter(|| Ok(fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000")?))?;
    let listener = ground.server.listen("127.0.0.1:7305")?;
    let to = listener.address;
    let first = ground.client.open(to)?;
    first.connect(to)?;
    let second = ground.client.open(to)?;
    assert_eq!(second.connect_in_vain(to)?, EADDRNOTAVAIL);
    Ok((to, [first, second]))
}

#[test]
fn without_a_free_port() -> Result<()> {
    for tier in TIERS {
        let ground = Ground::new()?;
        let Some(mut watch) = start(&ground, tier)? else { return Ok(()) };
        let (to, _ends) = exhaust_ports(&ground)?;
        let error = EADDRNOTAVAIL.unsigned_abs();
        watch.until("its end", |event| match event {
            Event::Ended(ended) if ended.remote == to && ended.error == error => Some(()),
            _ => None,
        })?;
        watch.until_accounts("numbers that add up", adds_up)?;
        let (opened, ended) = told(&watch, to);
        assert_eq!((opened.len(), ended.len()), (2, 1), "one of them connected: {opened:?} {ended:?}");
        assert_eq!(connection(&watch, to)?, (None, EndedBy::Client, EndedHow::Error));
    }
    Ok(())
}

#[test]
fn without_the_tier_it_is_missing_and_nothing_is_counted_twice() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start_with(&ground, &only(Some("none of them")))?;
    let hook = watch.coverage().iter().find(|hook| hook.name == HOOK).context("no such hook")?;
    assert_eq!((hook.program, hook.refused.len()), (None, 2), "{hook}");
    let unreachable = "192.0.2.9:7306".parse()?;
    assert_eq!(ground.client.open(unreachable)?.connect_in_vain(unreachable)?, ENETUNREACH);
    let (to, _ends) = exhaust_ports(&ground)?;
    watch.until("its end", |event| match event {
        Event::Ended(ended) if ended.remote == to && ended.state == State::SynSent => Some(()),
        _ => None,
    })?;
    watch.until_accounts("numbers that add up", adds_up)?;
    let (opened, ended) = told(&watch, to);
    assert_eq!((opened.len(), ended.len(), ended[0].error), (2, 1, 0));
    assert_eq!(connection(&watch, to)?, (None, EndedBy::Client, EndedHow::Error), "it is no timeout");
    assert_eq!(told(&watch, unreachable), (vec![], vec![]));
    Ok(())
}

/// How the connection to this address that failed ended, as the core has it.
fn connection(watch: &Watch, to: SocketAddr) -> Result<(Option<Behaviour>, EndedBy, EndedHow)> {
    let mut found = watch.updates().iter().filter_map(|update| match update {
        Update::Connection(connection) if connection.server.address == to => {
            Some((connection.listener.behaviour, connection.outcome.ended_by, connection.outcome.how))
        }
        _ => None,
    });
    let only = found.next().context("no line of it")?;
    ensure!(found.next().is_none(), "more than one line of it");
    Ok(only)
}
