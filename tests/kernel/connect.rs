//! A connection is seen from its connect to its end, at both ends, with whose it is.

use std::{net::SocketAddr, os::unix::fs::MetadataExt as _};

use anyhow::Result;
use mtlsnoop::event::{
    Event,
    socket::{Owner, State},
};
use mtlsnoop_tests::cgroup::CgroupTree;

use crate::{
    ground::Ground,
    remote::{NAME, Peer},
    watch::{Ids, Watch},
};

/// Nobody else's, on any machine.
const UID: u32 = 61_337;

#[test]
fn both_ends_are_seen_from_beginning_to_end() -> Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let ground = Ground::new()?;
        let mut watch = Watch::start(&ground)?;
        let pair = ground.pair_at(address)?;
        let opened = watch.opened(pair.to)?;
        let accepted = watch.accepted(pair.from, pair.to)?;
        assert_eq!(opened.local.ip(), pair.from.ip());
        assert!(accepted.time >= opened.time);

        pair.client.close()?;
        assert_eq!(pair.server.receive_rest()?, b"");
        pair.server.close()?;
        let (client, server) = watch.stories(Ids { client: opened.socket, server: accepted.socket })?;
        let [established] = &client.established[..] else { panic!("{:?}", client.established) };
        assert_eq!((established.local, established.remote), (pair.from, pair.to));
        assert!(established.time >= opened.time && client.ended[0].time >= established.time);
        assert_eq!(server.established, [], "an accepted end has its own event");
        for (story, local, remote) in [(&client, pair.from, pair.to), (&server, pair.to, pair.from)] {
            let [ended] = &story.ended[..] else { panic!("{:?}", story.ended) };
            assert_eq!((ended.local, ended.remote, ended.netns), (local, remote, ground.inode()?));
            assert_eq!((ended.error, ended.bytes_sent, ended.bytes_received), (0, 0, 0));
            assert_eq!(ended.last_sent, None);
        }
    }
    Ok(())
}

#[test]
fn ipv4_over_a_socket_for_ipv6_is_told_as_ipv4() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let listener = ground.server.listen("[::]:0")?;
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse()?, listener.address.port());
    let to = SocketAddr::new("127.0.0.1".parse()?, listener.address.port());
    let client = ground.client.open(mapped)?;
    let own = client.connect(mapped)?;
    let from = SocketAddr::new(own.ip().to_canonical(), own.port());
    let server = listener.accept()?;

    assert_eq!(watch.opened(to)?.local.ip(), from.ip());
    watch.accepted(from, to)?;
    server.close()?;
    client.receive_rest()?;
    client.close()?;
    assert_eq!(watch.ended_at(from, to)?.state, State::LastAck);
    watch.ended_at(to, from)?;
    Ok(())
}

#[test]
fn whose_it_is_is_told_at_both_ends() -> Result<()> {
    let ground = Ground::new()?;
    let groups = CgroupTree::create(&format!("mtlsnoop-kernel-{}", std::process::id()))?;
    for (peer, name) in [(&ground.client, "client"), (&ground.server, "server")] {
        let group = groups.path().join(name);
        std::fs::create_dir(&group)?;
        peer.enter_cgroup(&group)?;
    }
    ground.client.become_user(UID)?;
    ground.server.become_user(UID + 1)?;
    let cgroup = |name: &str| -> Result<u64> { Ok(groups.path().join(name).metadata()?.ino()) };

    let mut watch = Watch::start(&ground)?;
    let pair = ground.pair()?;
    let client = watch.opened(pair.to)?;
    let server = watch.accepted(pair.from, pair.to)?;
    let listener = watch.listener(pair.to, |event| match event {
        Event::Listening(listener) => Some(listener),
        _ => None,
    })?;
    let netns = ground.inode()?;
    let of = |peer: &Peer, uid, cgroup| Owner {
        pid: peer.pid(),
        process: NAME.into(),
        uid,
        gid: uid,
        cgroup,
        netns,
    };
    assert_eq!(client.owner, of(&ground.client, UID, cgroup("client")?));
    assert_eq!(listener.owner, of(&ground.server, UID + 1, cgroup("server")?));
    // The kernel completes connections for whoever was interrupted; the process is the listener's, which the core joins.
    let nobody = Owner { pid: 0, process: "".into(), gid: 0, ..listener.owner };
    assert_eq!(server.owner, nobody);

    for (name, id) in [("client", client.owner.cgroup), ("server", server.owner.cgroup)] {
        let path = watch.until("the path of a control group", |event| match event {
            Event::Cgroup(group) if group.id == id => Some(group.path.clone()),
            _ => None,
        })?;
        assert!(path.ends_with(&format!("mtlsnoop-kernel-{}/{name}", std::process::id())), "{path}");
    }
    pair.client.abort()?;
    let ended = watch.ended_at(pair.from, pair.to)?;
    assert_eq!((ended.uid, ended.cgroup), (UID, client.owner.cgroup));
    Ok(())
}
