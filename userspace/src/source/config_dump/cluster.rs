//! A cluster as Envoy's configuration has it, reduced to a fact; must not know where in a dump it was.
//!
//! Names are those of the protobuf types, v2 (`envoy/api/v2/cluster.proto`) and v3 (`envoy/config/cluster/v3/cluster.proto`), and the same in
//! camel case, as `istioctl proxy-config` prints them.

use serde::{Deserialize, Deserializer};

use crate::{
    event::envoy::{ApiVersion, ClusterTls, ProxyCluster, RuleName, SocketMatch, TlsContext},
    source::config_dump::duration,
};

/// Most entries of any list that is kept of a cluster; real ones have a few.
const LIST_MAX: usize = 16;

/// Longest text that is kept.
const TEXT_BYTES_MAX: usize = 512;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCluster {
    #[serde(rename = "@type")]
    type_url: Option<String>,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "type")]
    discovery: Option<String>,
    #[serde(alias = "clusterType")]
    cluster_type: Option<Named>,
    #[serde(alias = "connectTimeout")]
    connect_timeout: Option<String>,
    #[serde(alias = "transportSocket")]
    transport_socket: Option<TransportSocket>,
    #[serde(alias = "transportSocketMatches", deserialize_with = "or_default")]
    transport_socket_matches: Vec<WireMatch>,
    /// What v2 had before `transport_socket` (Istio up to 1.4).
    #[serde(alias = "tlsContext")]
    tls_context: Option<Tls>,
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireMatch {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "match", deserialize_with = "or_default")]
    criteria: serde_json::Map<String, serde_json::Value>,
    #[serde(alias = "transportSocket", deserialize_with = "or_default")]
    transport_socket: TransportSocket,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TransportSocket {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(alias = "typedConfig", alias = "config", deserialize_with = "or_default")]
    typed_config: Tls,
}

/// `UpstreamTlsContext`, and the type that says whether it is one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tls {
    #[serde(rename = "@type")]
    type_url: Option<String>,
    sni: Option<String>,
    #[serde(alias = "commonTlsContext", deserialize_with = "or_default")]
    common_tls_context: CommonTls,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CommonTls {
    #[serde(alias = "alpnProtocols", deserialize_with = "or_default")]
    alpn_protocols: Vec<String>,
    #[serde(alias = "validationContext", deserialize_with = "or_default")]
    validation_context: Validation,
    #[serde(alias = "combinedValidationContext", deserialize_with = "or_default")]
    combined_validation_context: Combined,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Combined {
    #[serde(alias = "defaultValidationContext", deserialize_with = "or_default")]
    default_validation_context: Validation,
}

/// The three ways in which names of a certificate were asked for over time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Validation {
    #[serde(alias = "verifySubjectAltName", deserialize_with = "or_default")]
    verify_subject_alt_name: Vec<String>,
    #[serde(alias = "matchSubjectAltNames", deserialize_with = "or_default")]
    match_subject_alt_names: Vec<Matcher>,
    #[serde(alias = "matchTypedSubjectAltNames", deserialize_with = "or_default")]
    match_typed_subject_alt_names: Vec<TypedMatcher>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypedMatcher {
    #[serde(deserialize_with = "or_default")]
    matcher: Matcher,
}

/// `StringMatcher`: one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Matcher {
    exact: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
    contains: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(alias = "filterMetadata", deserialize_with = "or_default")]
    filter_metadata: FilterMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FilterMetadata {
    #[serde(deserialize_with = "or_default")]
    istio: IstioMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IstioMetadata {
    config: Option<String>,
}

/// `null` is as good as missing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The fact that this cluster is; none when it has no name.
pub(super) fn convert(wire: WireCluster) -> Option<ProxyCluster> {
    if wire.name.is_empty() {
        return None;
    }
    let socket_type =
        wire.transport_socket.as_ref().and_then(|socket| socket.typed_config.type_url.as_deref());
    let api = wire.type_url.as_deref().and_then(api_version).or_else(|| socket_type.and_then(api_version));
    let named = wire.cluster_type.map(|cluster_type| cluster_type.name).filter(|name| !name.is_empty());
    Some(ProxyCluster {
        name: text(&wire.name),
        api,
        // Of the enumeration's values the first is left out when JSON is made without defaults.
        discovery: text(wire.discovery.as_deref().or(named.as_deref()).unwrap_or("STATIC")),
        connect_timeout_ms: wire.connect_timeout.as_deref().and_then(duration::milliseconds),
        tls: cluster_tls(wire.transport_socket, wire.transport_socket_matches, wire.tls_context),
        rule: wire.metadata.filter_metadata.istio.config.as_deref().and_then(rule),
    })
}

fn cluster_tls(socket: Option<TransportSocket>, matches: Vec<WireMatch>, old: Option<Tls>) -> ClusterTls {
    if !matches.is_empty() {
        let matches = matches.into_iter().take(LIST_MAX).map(|one| SocketMatch {
            name: text(&one.name),
            is_for_all: one.criteria.is_empty(),
            tls: one.transport_socket.is_tls().then(|| tls_context(one.transport_socket.typed_config)),
        });
        return ClusterTls::ByEndpoint(matches.collect());
    }
    match (socket, old) {
        (Some(socket), _) if socket.is_tls() => ClusterTls::Always(tls_context(socket.typed_config)),
        (Some(socket), _) if socket.is_plaintext() => ClusterTls::Never,
        (Some(socket), _) => ClusterTls::Other(text(&socket.name)),
        (None, Some(tls)) => ClusterTls::Always(tls_context(tls)),
        (None, None) => ClusterTls::Never,
    }
}

impl TransportSocket {
    /// By its type; where there is none, by its name (v2 had well-known names only).
    fn is_tls(&self) -> bool {
        match self.typed_config.type_url.as_deref() {
            Some(type_url) => type_url.ends_with(".UpstreamTlsContext"),
            None => matches!(&*self.name, "envoy.transport_sockets.tls" | "tls"),
        }
    }

    fn is_plaintext(&self) -> bool {
        let type_url = self.typed_config.type_url.as_deref().unwrap_or_default();
        type_url.ends_with(".RawBuffer")
            || matches!(&*self.name, "envoy.transport_sockets.raw_buffer" | "raw_buffer")
    }
}

fn tls_context(tls: Tls) -> TlsContext {
    let CommonTls { alpn_protocols, validation_context, combined_validation_context } =
        tls.common_tls_context;
    let contexts = [validation_context, combined_validation_context.default_validation_context];
    let names = contexts.into_iter().flat_map(Validation::names);
    TlsContext {
        sni: tls.sni.filter(|sni| !sni.is_empty()).as_deref().map(text),
        alpn: alpn_protocols.iter().take(LIST_MAX).map(|protocol| text(protocol)).collect(),
        subject_names: names.take(LIST_MAX).map(|name| text(&name)).collect(),
    }
}

impl Validation {
    fn names(self) -> impl Iterator<Item = String> {
        let typed = self.match_typed_subject_alt_names.into_iter().map(|typed| typed.matcher);
        let matchers = self.match_subject_alt_names.into_iter().chain(typed);
        self.verify_subject_alt_name.into_iter().chain(matchers.filter_map(Matcher::text))
    }
}

impl Matcher {
    /// With a star where anything may be.
    fn text(self) -> Option<String> {
        let Self { exact, prefix, suffix, contains } = self;
        exact
            .or_else(|| prefix.map(|prefix| prefix + "*"))
            .or_else(|| suffix.map(|suffix| format!("*{suffix}")))
            .or_else(|| contains.map(|contains| format!("*{contains}*")))
    }
}

/// `type.googleapis.com/envoy.api.v2.Cluster`, `type.googleapis.com/envoy.config.cluster.v3.Cluster`.
fn api_version(type_url: &str) -> Option<ApiVersion> {
    let is_of = |version: &str| type_url.split('.').any(|part| part == version);
    if is_of("v3") {
        return Some(ApiVersion::V3);
    }
    is_of("v2").then_some(ApiVersion::V2)
}

/// `/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/redis-mtls` (istio
/// `pilot/pkg/networking/util/util.go`, `AddConfigInfoMetadata`).
fn rule(config: &str) -> Option<RuleName> {
    let mut parts = config.rsplit('/');
    let (name, kind, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    let is_rule = kind == "destination-rule" && !name.is_empty() && !namespace.is_empty();
    is_rule.then(|| RuleName { namespace: text(namespace), name: text(name) })
}

fn text(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into()
}
