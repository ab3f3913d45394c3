//! Does the lab itself work? Its network, Envoy, every server, and that nothing stays behind; it must not need
//! the tracer. It needs root.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use data_encoding::HEXLOWER;
use mtlsnoop_tests::client::{self, Sending};
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::envoy::{Inbound, Outbound, PeerAuthentication, Sidecar, TlsVersion};
use mtlsnoop_tests::interception::{Interception, SIDECAR_UID};
use mtlsnoop_tests::pod::Pod;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;

/// Makes another sidecar's cluster of the incident's.
type Change = fn(Outbound) -> Outbound;

const SOON: Duration = Duration::from_secs(5);

fn redis_scene() -> Result<Scene> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    Ok(scene)
}

fn ping(pod: &Pod, server: SocketAddr) -> Result<String> {
    let output = client::redis(pod.app_container()?, server, &["PING"])?;
    Ok(output.stdout + &output.stderr)
}

#[test]
fn the_incident_happens_and_its_fix_mends_it_without_a_restart() -> Result<()> {
    let scene = redis_scene()?;
    let incident = scene.unconditional_mtls()?;
    let mut sidecar = scene.client_sidecar(&incident)?;
    for server in [scene.address(), scene.address_ipv6()] {
        assert_eq!(ping(&scene.outsider, server)?, "PONG\n", "without a sidecar, {server}");
        let failure = ping(&scene.client, server)?;
        assert!(failure.contains("reset") || failure.contains("closed"), "{server}: {failure}");
        let line = sidecar.wait_for_log_line(&format!("\"{server}\" outbound|6379||redis"), SOON)?;
        assert!(line.contains(" 0 UF,URX \"-\" \"-\" 0 0 "), "{line}");
    }

    let pid = sidecar.pid();
    sidecar.replace_clusters(&[incident.disabled()])?;
    for server in [scene.address(), scene.address_ipv6()] {
        assert_eq!(ping(&scene.client, server)?, "PONG\n", "after the fix, {server}");
    }
    assert_eq!(sidecar.pid(), pid);
    Ok(())
}

#[test]
fn every_server_starts_and_stops() -> Result<()> {
    let cases = [
        (Backend::Redis, 6379),
        (Backend::RedisTls, 6379),
        (Backend::RedisTlsForeign, 6379),
        (Backend::Memcached, 11211),
        (Backend::Postgres, 5432),
        (Backend::MariaDb, 3306),
        (Backend::RabbitMq, 5672),
        (Backend::Nats, 4222),
        (Backend::PostgresTls, 5432),
        (Backend::MariaDbTls, 3306),
        (Backend::ZooKeeper, 2181),
        (Backend::Etcd, 2379),
        (Backend::Nginx, 8080),
        (Backend::NginxHttp2, 8080),
        (Backend::HaProxy, 8080),
        (Backend::NginxTls, 8443),
        (Backend::RedisTlsLate, 6379),
        (Backend::SmtpTls, 2525),
        (Backend::Websocket, 8080),
        (Backend::Closes, 7001),
        (Backend::Resets, 7002),
        (Backend::NeverAnswers, 7003),
        (Backend::NeverReads, 7004),
    ];
    for (backend, port) in cases {
        let started = std::time::Instant::now();
        let mut scene = SceneSpec::new("backend", port).start(Cluster::start()?)?;
        scene.serve(backend)?;
        let ready = started.elapsed();
        let folder = scene.cluster.folder().to_owned();
        let groups = scene.cluster.cgroup().to_owned();
        drop(scene);
        assert!(!folder.exists() && !groups.exists(), "{backend:?} left something");
        eprintln!("{backend:?}: ready after {ready:?}, gone after {:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn hand_made_listeners_do_what_their_names_say() -> Result<()> {
    for (backend, ended) in [
        (Backend::Closes, "eof"),
        (Backend::Resets, "reset"),
        (Backend::NeverAnswers, "open"),
        (Backend::NeverReads, "open"),
    ] {
        let mut scene = SceneSpec::new("backend", 7000).start(Cluster::start()?)?;
        scene.serve(backend)?;
        for server in [scene.address(), scene.address_ipv6()] {
            let sending = Sending::pieces(&[b"hello"]).waiting(Duration::from_millis(200));
            let reply = sending.run(scene.outsider.app_container()?, server)?;
            assert_eq!(reply.ended, ended, "{backend:?} {server}");
        }
    }
    Ok(())
}

#[test]
fn tls_servers_take_the_mesh_or_turn_it_down() -> Result<()> {
    let as_mesh = |outbound: Outbound| outbound;
    let as_web = |outbound: Outbound| outbound.alpn(&["http/1.1"]);
    let cases: [(Backend, Change, &str, &str); 4] = [
        (Backend::RedisTls, as_mesh, "PING\r\n", "+PONG\r\n"),
        (Backend::RedisTlsForeign, as_mesh, "PING\r\n", ""),
        (Backend::NginxTls, as_mesh, "GET / HTTP/1.0\r\n\r\n", ""),
        (Backend::NginxTls, as_web, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200"),
    ];
    for (backend, change, request, answer) in cases {
        let mut scene = SceneSpec::new("secure", 8443).start(Cluster::start()?)?;
        scene.serve(backend)?;
        let _sidecar = scene.client_sidecar(&change(scene.unconditional_mtls()?))?;
        let reply =
            Sending::pieces(&[request.as_bytes()]).run(scene.client.app_container()?, scene.address())?;
        let received = HEXLOWER.decode(reply.received_hex.as_bytes())?;
        assert!(received.starts_with(answer.as_bytes()), "{backend:?}: {reply:?}");
        assert_eq!(received.is_empty(), answer.is_empty(), "{backend:?}: {reply:?}");
    }
    Ok(())
}

#[test]
fn a_client_that_is_no_mesh_speaks_tls() -> Result<()> {
    let mut scene = SceneSpec::new("secure", 8443).start(Cluster::start()?)?;
    scene.serve(Backend::NginxTls)?;
    let output = client::openssl(scene.outsider.app_container()?, scene.address(), &["-servername", "shop"])?
        .wait(SOON)?;
    assert!((output.stdout + &output.stderr).contains("CONNECTION ESTABLISHED"), "{}", output.status);
    Ok(())
}

#[test]
fn a_second_envoy_in_front_of_the_server_takes_what_its_mode_allows() -> Result<()> {
    use PeerAuthentication::{Disable, Permissive, Strict};
    // Mode, does mesh mTLS get through, does plaintext.
    for (mode, mtls, plaintext) in [(Strict, true, false), (Permissive, true, true), (Disable, false, true)] {
        let spec = SceneSpec::new("redis", 6379).backend(|pod| pod.sidecar(Interception::Both));
        let mut scene = spec.start(Cluster::start()?)?;
        scene.serve(Backend::Redis)?;
        let identity = scene.mesh.sign("server", mtlsnoop_tests::certificate::DEFAULT_IDENTITY)?;
        let _server = Sidecar::of_server(&scene.backend, &Inbound::new(mode, &identity))?;
        let _client = scene.client_sidecar(&scene.unconditional_mtls()?)?;
        for server in [scene.address(), scene.address_ipv6()] {
            assert_eq!(ping(&scene.client, server)? == "PONG\n", mtls, "mesh mTLS, {mode:?}, {server}");
            assert_eq!(
                ping(&scene.outsider, server)? == "PONG\n",
                plaintext,
                "plaintext, {mode:?}, {server}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_client_hello_is_as_long_as_was_asked_for() -> Result<()> {
    let cases: [(&str, std::ops::Range<usize>, Change); 4] = [
        ("as in the incident", 190..230, |outbound| outbound),
        ("517 bytes, as many clients pad theirs", 500..530, |outbound| {
            let filler = "x".repeat(155);
            outbound.alpn(&["istio-peer-exchange", "istio", &filler, &filler])
        }),
        ("TLS 1.3", 1400..1700, |outbound| outbound.tls_version(TlsVersion::V1_3)),
        ("post-quantum", 1400..1700, |outbound| {
            outbound.tls_version(TlsVersion::V1_3).curves(&["X25519MLKEM768"])
        }),
    ];
    for (name, expected, change) in cases {
        let scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
        let _sidecar = scene.client_sidecar(&change(scene.unconditional_mtls()?))?;
        let length = scene
            .backend
            .netns()
            .enter(|| received_length(scene.address(), || ping(&scene.client, scene.address()).map(drop)))?;
        assert!(expected.contains(&length), "{name}: {length} bytes");
    }
    Ok(())
}

/// Takes one connection in the place of the server, and counts what comes.
fn received_length(address: SocketAddr, trigger: impl Fn() -> Result<()> + Send + Sync) -> Result<usize> {
    let listener = std::net::TcpListener::bind(address)?;
    std::thread::scope(|scope| {
        let client = scope.spawn(&trigger);
        let (mut stream, _) = listener.accept()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut bytes)?;
        client.join().expect("the client does not panic")?;
        Ok(bytes.len())
    })
}

#[test]
fn many_clients_at_once_all_fail_behind_the_sidecar() -> Result<()> {
    let scene = redis_scene()?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let sending = Sending::pieces(&[b"PING\r\n"]).on_connections(200).waiting(SOON);
    let replies = sending.run_all(scene.client.app_container()?, scene.address())?;
    assert_eq!(replies.len(), 200);
    assert!(
        replies.iter().all(|reply| reply.received_hex.is_empty() && reply.ended != "open"),
        "{replies:?}"
    );
    Ok(())
}

#[test]
fn addresses_without_a_server_fail_as_they_should() -> Result<()> {
    let scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    let sending = Sending::pieces(&[b"hello"]).as_id(SIDECAR_UID);
    let container = scene.client.app_container()?;
    assert_eq!(sending.run(container, scene.address())?.ended, "refused");
    assert_eq!(sending.run(container, scene.address_ipv6())?.ended, "refused");
    let nowhere: IpAddr = "192.0.2.1".parse()?;
    assert_eq!(sending.run(container, (nowhere, 6379).into())?.ended, "unreachable");
    Ok(())
}

#[test]
fn a_small_segment_size_splits_what_a_client_sends() -> Result<()> {
    let spec = SceneSpec::new("redis", 7000).client(|pod| pod.mss(400)).backend(|pod| pod.mss(400));
    let mut scene = spec.start(Cluster::start()?)?;
    scene.serve(Backend::NeverAnswers)?;
    let before = segments_received(&scene.backend)?;
    let sending = Sending::pieces(&[&[7; 2000]]).as_id(SIDECAR_UID).waiting(Duration::from_millis(100));
    sending.run(scene.client.app_container()?, scene.address())?;
    let after = segments_received(&scene.backend)?;
    // Five with data; opening and closing add some.
    assert!(after - before >= 7, "{before} {after}");
    Ok(())
}

/// `Tcp: … InSegs …` of /proc/net/snmp in the pod.
fn segments_received(pod: &Pod) -> Result<u64> {
    let table = pod.netns().run("cat", &["/proc/thread-self/net/snmp"], "")?;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("Tcp:"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let column = rows[0].iter().position(|name| *name == "InSegs").expect("the kernel counts segments");
    Ok(rows[1][column].parse()?)
}

#[test]
fn everything_is_gone_after_a_panic() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let scene = redis_scene().expect("the lab works");
        let paths = [scene.cluster.folder().to_owned(), scene.cluster.cgroup().to_owned()];
        let pid = scene.server_pid().expect("Redis runs");
        sender.send((paths, pid)).expect("the test listens");
        panic!("as a failing test does");
    });
    let (paths, pid) = receiver.recv().expect("the lab works");
    assert!(panicked.join().is_err());
    for path in paths {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "Redis is still running");
}
