//! Two speeds: of everybody the ends, and of an armed control group everything; no packet is seen anywhere else.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use mtlsnoop::{
    event::{Event, socket::SocketId},
    source::kernel::{Capture, Options},
};
use mtlsnoop_tests::cgroup::CgroupTree;

use crate::{
    ground::{Ground, Pair},
    hello,
    watch::Watch,
};

fn tree() -> Result<CgroupTree> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    CgroupTree::create(&format!("mtlsnoop-adaptive-{}-{number}", std::process::id()))
}

fn start(ground: &Ground) -> Result<Watch> {
    let options = Options { capture: Capture::Adaptive, ring_bytes: 64 << 20, ..Options::default() };
    Watch::start_with(ground, &options)
}

/// As the tracer names it: below the mount.
fn group(tree: &CgroupTree) -> Result<String> {
    let name = tree.path().file_name().context("a control group without a name")?;
    Ok(format!("/{}", name.to_string_lossy()))
}

fn id(group: &Path) -> Result<u64> {
    Ok(fs::metadata(group)?.ino())
}

/// To which control groups this process has programs attached, and how many to each, as its descriptors tell
/// (`bpf_cgroup_link_show_fdinfo`, kernel/bpf/cgroup.c).
fn attached() -> Result<BTreeMap<u64, u32>> {
    let mut groups = BTreeMap::new();
    for descriptor in fs::read_dir("/proc/self/fdinfo")? {
        let told = fs::read_to_string(descriptor?.path()).unwrap_or_default();
        for group in told.lines().filter_map(|line| line.strip_prefix("cgroup_id:")) {
            *groups.entry(group.trim().parse()?).or_default() += 1;
        }
    }
    Ok(groups)
}

/// A hello that is read, and not answered.
fn unanswered(pair: &Pair) -> Result<()> {
    let hello = hello::short();
    pair.client.send(&hello)?;
    pair.server.receive(&hello)?;
    pair.client.close()?;
    pair.server.receive_rest()?;
    pair.server.close()
}

fn had_beginning(watch: &Watch, socket: SocketId) -> bool {
    watch.events().iter().any(|event| match event {
        Event::Opened(opened) | Event::Accepted(opened) => opened.socket == socket,
        _ => false,
    })
}

#[test]
fn programs_that_see_packets_are_attached_where_it_is_armed_and_nowhere_else() -> Result<()> {
    let (ground, tree) = (Ground::new()?, tree()?);
    let mut watch = start(&ground)?;
    assert_eq!(attached()?, BTreeMap::new(), "nothing is suspect");
    let group = group(&tree)?;
    watch.kernel().arm(&group)?;
    assert_eq!(attached()?, BTreeMap::from([(id(tree.path())?, 2)]), "egress and ingress");
    watch.kernel().arm(&group)?;
    assert_eq!(attached()?, BTreeMap::from([(id(tree.path())?, 2)]), "it was armed already");
    watch.kernel().disarm(&group);
    assert_eq!((attached()?, watch.kernel().armed()), (BTreeMap::new(), 0));
    Ok(())
}

#[test]
fn of_an_armed_group_everything_is_told_and_of_others_their_ends() -> Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (ground, tree) = (Ground::new()?, tree()?);
        // As a container in its pod.
        let container = tree.path().join("container");
        fs::create_dir(&container)?;
        let mut watch = start(&ground)?;
        watch.kernel().arm(&group(&tree)?)?;

        let other = ground.pair_at(address)?;
        unanswered(&other)?;
        ground.client.enter_cgroup(&container)?;
        let pair = ground.pair_at(address)?;
        unanswered(&pair)?;

        let opened = watch.opened(pair.to)?;
        let ended = watch.ended(opened.socket)?;
        assert_eq!((opened.owner.cgroup, ended.accepted), (id(&container)?, None), "{address}");
        assert_eq!(watch.story(opened.socket).hellos.len(), 1, "{address}");
        let server = watch.ended_at(pair.to, pair.from)?;
        assert_eq!(server.accepted, Some(true), "{address}");
        for (own, other_end, accepted) in [(other.from, other.to, false), (other.to, other.from, true)] {
            let ended = watch.ended_at(own, other_end)?;
            assert_eq!(ended.accepted, Some(accepted), "{address}: {ended:?}");
            assert!(!had_beginning(&watch, ended.socket), "{address}: {ended:?}");
            assert!(watch.story(ended.socket).hellos.is_empty(), "{address}: {ended:?}");
        }
        watch.until_accounts("both ends of both connections", |summary| {
            summary.seen >= 4 && summary.seen == summary.reported && summary.lost.is_empty()
        })?;
        let ends = watch.story(opened.socket).ended;
        assert_eq!(ends.len(), 1, "the state hook and the sentinel tell of it once: {ends:?}");
    }
    Ok(())
}

#[test]
fn what_began_before_it_was_armed_is_told_by_its_end() -> Result<()> {
    let (ground, tree) = (Ground::new()?, tree()?);
    ground.client.enter_cgroup(tree.path())?;
    let mut watch = start(&ground)?;
    let pair = ground.pair()?;
    watch.kernel().arm(&group(&tree)?)?;
    unanswered(&pair)?;
    let client = watch.ended_at(pair.from, pair.to)?;
    assert_eq!((client.accepted, client.bytes_received), (Some(false), 0), "{client:?}");
    watch.until_accounts("both ends", |summary| summary.seen >= 2 && summary.seen == summary.reported)?;
    assert_eq!(watch.story(client.socket).ended.len(), 1);
    Ok(())
}

/// Each time that a container is started, in a control group of its own; a runtime may make one below that.
#[test]
fn a_container_that_is_started_while_its_pod_is_armed_is_followed() -> Result<()> {
    let (ground, tree) = (Ground::new()?, tree()?);
    let mut watch = start(&ground)?;
    watch.kernel().arm(&group(&tree)?)?;
    for name in ["first", "second", "second/payload"] {
        let container = tree.path().join(name);
        fs::create_dir(&container)?;
        // It is noticed with the second tick at the latest: the first may have been just before.
        watch.until_ticks(2)?;
        ground.client.enter_cgroup(&container)?;
        let pair = ground.pair()?;
        unanswered(&pair)?;
        let opened = watch.opened(pair.to)?;
        assert_eq!(opened.owner.cgroup, id(&container)?, "{name}");
        watch.ended(opened.socket)?;
        assert_eq!(watch.story(opened.socket).hellos.len(), 1, "{name}");
        // Before it is started again.
        ground.client.enter_cgroup(tree.path())?;
    }
    assert_eq!(watch.kernel().armed(), 1);
    Ok(())
}

#[test]
fn the_root_cannot_be_armed_because_that_would_watch_everybody() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = start(&ground)?;
    let error = watch.kernel().arm("/").unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");
    assert_eq!((attached()?, watch.kernel().armed()), (BTreeMap::new(), 0));
    Ok(())
}

#[test]
fn a_group_that_is_gone_cannot_be_armed() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = start(&ground)?;
    let error = watch.kernel().arm("/mtlsnoop-nonesuch").unwrap_err();
    assert!(error.to_string().contains("cannot open the control group"), "{error}");
    Ok(())
}
