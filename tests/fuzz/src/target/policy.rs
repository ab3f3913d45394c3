//! Istio's own logic, and the verdicts over it, on clusters and attempts that nobody would have.

use std::net::SocketAddr;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use mtlsnoop::{
    envoy::Word,
    event::{
        cluster::{Cluster, Pod},
        envoy::{ClusterTls, LogEntry, ProxyCluster, RuleName, TlsContext},
        istio::ServerMode,
        socket::{Class, Direction, FirstBytes, Owner, SocketId},
        time::Time,
    },
    flow::{answer::Answer, hello::Hello},
    identity::objects::Objects,
    listener::{Exchange, Knowledge},
    policy::{Declared, Rule, expectation::Does},
    tls::{
        client_hello::ClientHello,
        mesh::{self, Mesh, MeshHello},
    },
    update::{Behaviour, Code, Confidence, EndedBy, EndedHow, Outcome, Party},
    verdict::{
        self, Judgement,
        case::{Acceptor, Case, LegSeen, PassedOn, SentHello},
    },
};

use crate::target::world::{self, maybe, one};

const PROCESSES: [&str; 3] = ["envoy", "redis-server", ""];
const DISCOVERIES: [&str; 3] = ["ORIGINAL_DST", "EDS", ""];

/// A cluster, and one attempt in it.
pub(crate) fn policy(bytes: &[u8]) {
    // Bytes that are over give zeros, so that any input is one.
    let _ran = run(&mut Unstructured::new(bytes));
}

fn run(bytes: &mut Unstructured<'_>) -> Result<()> {
    let cluster = world::cluster(bytes)?;
    let ends = Ends::of(bytes, &cluster)?;
    let decided = decided(&cluster, &ends);
    assert_eq!(decided, self::decided(&cluster, &ends), "the same twice is the same");
    let (reversed, ends_there) = reversed(&cluster, &ends);
    assert_eq!(decided, self::decided(&reversed, &ends_there), "the order of objects decides nothing");
    let attempt = Attempt::of(bytes)?;
    let judged = attempt.judge(&cluster, &ends);
    assert_eq!(judged, attempt.judge(&cluster, &ends), "the same twice is the same");
    if let Some(judgement) = judged {
        attempt.check(&judgement);
    }
    Ok(())
}

/// Who connects to what; places in the lists of a cluster.
#[derive(Clone)]
struct Ends {
    client: Option<usize>,
    server: Option<usize>,
    service: Option<usize>,
    target: SocketAddr,
    hello: Option<MeshHello>,
}

impl Ends {
    fn of(bytes: &mut Unstructured<'_>, cluster: &Cluster) -> Result<Self> {
        let place = |bytes: &mut Unstructured<'_>, count: usize| {
            if count == 0 { Ok(None) } else { maybe(bytes, |bytes| bytes.choose_index(count)) }
        };
        Ok(Self {
            client: place(bytes, cluster.pods.len())?,
            server: place(bytes, cluster.pods.len())?,
            service: place(bytes, cluster.services.len())?,
            target: SocketAddr::new(world::address(bytes)?, world::port(bytes)?),
            hello: maybe(bytes, hello)?,
        })
    }

    fn declared<'a>(&'a self, cluster: &'a Cluster, objects: &'a Objects) -> Declared<'a> {
        let pod = |place: Option<usize>| place.map(|place| &cluster.pods[place]);
        let service = self.service.map(|place| &cluster.services[place]);
        Declared::of(objects, pod(self.client), pod(self.server), service, self.target, self.hello.as_ref())
    }

    fn pods<'a>(&self, cluster: &'a Cluster) -> [Option<&'a Pod>; 2] {
        [self.client, self.server].map(|place| place.map(|place| &cluster.pods[place]))
    }
}

fn hello(bytes: &mut Unstructured<'_>) -> Result<MeshHello> {
    let mesh = if bytes.ratio(3, 4)? { Mesh::Istio } else { *bytes.choose(&Mesh::ALL)? };
    Ok(MeshHello {
        direction: maybe(bytes, |bytes| {
            bytes.choose(&[mesh::Direction::Outbound, mesh::Direction::Inbound]).copied()
        })?,
        service_port: maybe(bytes, world::port)?,
        subset: maybe(bytes, world::subset)?,
        host: maybe(bytes, world::host)?,
        ..MeshHello::of(mesh)
    })
}

/// What is decided by what is declared, without the words for it.
#[derive(Debug, PartialEq)]
struct Decided {
    does: Option<Does>,
    rules: Option<Vec<String>>,
    mode: Option<ServerMode>,
    takes_mtls: Option<bool>,
    endpoints: Option<[usize; 5]>,
}

fn decided(cluster: &Cluster, ends: &Ends) -> Decided {
    let objects = Objects::of(cluster);
    let declared = ends.declared(cluster, &objects);
    let expectation = declared.expectation();
    let rules = match declared.rule() {
        Rule::Taken(selected) => {
            let name =
                |rule: &&mtlsnoop::event::istio::DestinationRule| format!("{}/{}", rule.namespace, rule.name);
            Some(selected.merged.iter().map(name).collect())
        }
        Rule::None => Some(Vec::new()),
        Rule::NotKnown => None,
    };
    assert!(expectation.is_none() || rules.is_some(), "nothing is expected where rules are not known");
    let _more = (declared.host(), declared.protocol(), declared.version(), declared.is_labelled());
    Decided {
        does: expectation.map(|expectation| expectation.does),
        rules,
        mode: declared.server_mode().map(|effective| effective.mode),
        takes_mtls: declared.takes_mtls(),
        endpoints: declared
            .endpoints()
            .map(|all| [all.all, all.labelled, all.with_proxy, all.strict, all.unknown]),
    }
}

/// The same cluster with its lists in another order. Services and their like are known by names that are there once, which these may not
/// be: their order stays.
fn reversed(cluster: &Cluster, ends: &Ends) -> (Cluster, Ends) {
    let (mut cluster, mut ends) = (cluster.clone(), ends.clone());
    let count = cluster.pods.len();
    for place in [&mut ends.client, &mut ends.server] {
        *place = place.map(|place| count - 1 - place);
    }
    cluster.pods.reverse();
    cluster.endpoints.reverse();
    cluster.istio.destination_rules.reverse();
    cluster.istio.peer_authentications.reverse();
    cluster.istio.workload_entries.reverse();
    (cluster, ends)
}

/// What was seen of the attempt.
struct Attempt {
    is: [bool; 3],
    behaviour: Behaviour,
    outcome: Option<Outcome>,
    plain_hello: bool,
    answer: Option<Answer>,
    acceptor: Option<(Owner, u16, bool)>,
    passed_on: PassedOn,
    leg: Option<(bool, bool)>,
    knowledge: Knowledge,
    configured: Option<ProxyCluster>,
    logged: Option<LogEntry>,
    client: SocketAddr,
}

impl Attempt {
    fn of(bytes: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self {
            is: bytes.arbitrary()?,
            behaviour: *bytes.choose(&Behaviour::ALL)?,
            outcome: maybe(bytes, outcome)?,
            plain_hello: bytes.arbitrary()?,
            answer: maybe(bytes, answer)?,
            acceptor: maybe(bytes, |bytes| Ok((owner(bytes)?, world::port(bytes)?, bytes.arbitrary()?)))?,
            passed_on: *bytes.choose(&[
                PassedOn::Unknown,
                PassedOn::Nothing,
                PassedOn::Something,
                PassedOn::Hello,
            ])?,
            leg: maybe(bytes, Unstructured::arbitrary)?,
            knowledge: knowledge(bytes)?,
            configured: maybe(bytes, configured)?,
            logged: maybe(bytes, logged)?,
            client: SocketAddr::new(world::address(bytes)?, 50_714),
        })
    }

    fn judge(&self, cluster: &Cluster, ends: &Ends) -> Option<Judgement> {
        let objects = Objects::of(cluster);
        let [client, server] = ends.pods(cluster);
        let client = party(self.client, client);
        let service = ends.service.map(|place| &cluster.services[place]);
        let mut server = party(ends.target, server);
        server.service = service.map(|service| service.name.clone());
        server.headless = service.map(|service| service.headless);
        let plain = Hello { time: Time(0), content: ClientHello::default(), mesh: None, wire_bytes: 300 };
        let sent = Hello { mesh: ends.hello.clone(), wire_bytes: 205, ..plain.clone() };
        let [is_from_proxy, is_taken_over, is_end_only] = self.is;
        let hello = sent.mesh.as_ref().map(|mesh| SentHello { hello: &sent, mesh });
        verdict::judge(&Case {
            time: Time(1),
            client: &client,
            server: &server,
            is_from_proxy,
            is_taken_over,
            is_end_only,
            hello,
            plain_hello: (hello.is_none() && self.plain_hello).then_some(&plain),
            client_class: (hello.is_none() && !self.plain_hello).then_some(Class::Redis),
            answer: self.answer.as_ref(),
            behaviour: self.behaviour,
            outcome: self.outcome.as_ref(),
            acceptor: self.acceptor.as_ref().map(|(owner, port, is_proxy)| Acceptor {
                owner,
                port: *port,
                is_proxy: *is_proxy,
            }),
            passed_on: self.passed_on,
            leg: self.leg.map(|(had_hello, had_text)| LegSeen {
                hello: had_hello.then_some(&plain),
                client_class: had_text.then_some(Class::Text),
                answer: Some(self.behaviour),
                end: None,
            }),
            knowledge: self.knowledge,
            declared: ends.declared(cluster, &objects),
            word: Word { log: self.logged.as_ref(), cluster: self.configured.as_ref() },
        })
    }

    /// What must hold of every verdict.
    fn check(&self, judgement: &Judgement) {
        let is_direct = matches!(self.behaviour, Behaviour::Plaintext | Behaviour::SpokeFirst)
            || self.knowledge.plaintext.is_some();
        assert!(
            judgement.code != Code::MtlsToPlaintext
                || judgement.confidence != Confidence::Certain
                || is_direct,
            "certain without direct evidence: {judgement:?}"
        );
        assert!(!judgement.cause.text.is_empty() && !judgement.fix.text.is_empty(), "{judgement:?}");
        let manifest = judgement.fix.manifest.as_deref().unwrap_or_default();
        let is_plain = |byte: u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
        assert!(manifest.bytes().all(is_plain), "{manifest}");
        let kinds = manifest.lines().filter(|line| line.starts_with("kind: ")).count();
        assert_eq!(kinds, usize::from(!manifest.is_empty()), "a manifest is of one object: {manifest}");
    }
}

fn party(at: SocketAddr, pod: Option<&Pod>) -> Party {
    let mut party = Party::at(at);
    if let Some(pod) = pod {
        party.pod = Some(pod.name.clone());
        party.namespace = Some(pod.namespace.clone());
        party.workload.clone_from(&pod.workload);
        party.sidecar = Some(mtlsnoop::identity::proxy::has_proxy(pod));
    }
    party
}

fn outcome(bytes: &mut Unstructured<'_>) -> Result<Outcome> {
    Ok(Outcome {
        ended_by: *bytes.choose(&[EndedBy::Client, EndedBy::Server, EndedBy::Both, EndedBy::Network])?,
        how: *bytes.choose(&[EndedHow::Fin, EndedHow::Reset, EndedHow::Error, EndedHow::GivenUp])?,
        after_ns: bytes.arbitrary()?,
        bytes_sent: bytes.int_in_range(0..=9000)?,
        bytes_received: bytes.int_in_range(0..=9000)?,
        error: bytes.arbitrary()?,
        reset_reason: bytes.arbitrary()?,
    })
}

fn answer(bytes: &mut Unstructured<'_>) -> Result<Answer> {
    let length = bytes.int_in_range(0..=16)?;
    let data = Bytes::copy_from_slice(bytes.bytes(length.min(bytes.len()))?);
    let first = FirstBytes {
        time: Time(0),
        socket: SocketId(1),
        direction: Direction::Received,
        offset: 0,
        payload_bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
        other_offset: 206,
        class: Class::Other,
        data,
    };
    Ok(Answer::begin(&first, bytes.arbitrary()?))
}

fn owner(bytes: &mut Unstructured<'_>) -> Result<Owner> {
    let uid = *bytes.choose(&[0, 999, 1337, u32::MAX])?;
    Ok(Owner { uid, process: one(bytes, &PROCESSES)?.into(), ..Owner::default() })
}

fn knowledge(bytes: &mut Unstructured<'_>) -> Result<Knowledge> {
    let mut exchange = || {
        maybe(bytes, |bytes| {
            let client = SocketAddr::new(world::address(bytes)?, 40_000);
            Ok(Exchange { time: Time(0), client, protocol: None })
        })
    };
    Ok(Knowledge { plaintext: exchange()?, tls: exchange()?, mtls: exchange()?, greeting: exchange()? })
}

fn configured(bytes: &mut Unstructured<'_>) -> Result<ProxyCluster> {
    let tls = if bytes.ratio(1, 2)? {
        let alpn = if bytes.arbitrary()? { vec!["istio".into()] } else { Vec::new() };
        ClusterTls::Always(TlsContext { alpn, ..TlsContext::default() })
    } else {
        bytes
            .choose(&[ClusterTls::Never, ClusterTls::ByEndpoint(Vec::new()), ClusterTls::Other("x".into())])?
            .clone()
    };
    let rule = maybe(bytes, |bytes| {
        Ok(RuleName { namespace: world::namespace(bytes)?, name: one(bytes, &["a0", "b1", "gone"])?.into() })
    })?;
    Ok(ProxyCluster {
        name: format!("outbound|6379||{}", world::host(bytes)?).into(),
        discovery: one(bytes, &DISCOVERIES)?.into(),
        tls,
        rule,
        ..ProxyCluster::default()
    })
}

fn logged(bytes: &mut Unstructured<'_>) -> Result<LogEntry> {
    let flag = one(bytes, &["UF", "DC", "URX"])?;
    Ok(LogEntry { flags: vec![flag.into()], duration_ms: bytes.arbitrary()?, ..LogEntry::default() })
}
