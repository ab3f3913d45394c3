//! How the host of a rule fits the host that a client means. Pure.

/// How well the host of a rule fits; the greater, the better (istio `pkg/config/host/name.go`, `MoreSpecific`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// A wildcard covers it, of this length.
    Wildcard(usize),
    /// It is the same.
    Exact,
}

/// How a rule's host fits; none when it does not.
///
/// A host without a dot is a Service of the rule's own namespace (istio `pilot/pkg/model/config.go`,
/// `ResolveShortnameToFQDN`); every other one is taken as it stands.
pub fn fit(rule_host: &str, rule_namespace: &str, host: &str) -> Option<Fit> {
    if rule_host == host {
        return Some(Fit::Exact);
    }
    if let Some(suffix) = rule_host.strip_prefix('*') {
        return host.ends_with(suffix).then_some(Fit::Wildcard(rule_host.len()));
    }
    if rule_host.contains('.') {
        return None;
    }
    let (service, namespace) = service(host)?;
    (service == rule_host && namespace == rule_namespace).then_some(Fit::Exact)
}

/// Name and namespace in `NAME.NAMESPACE.svc.DOMAIN`.
pub fn service(host: &str) -> Option<(&str, &str)> {
    let (name, rest) = host.split_once('.')?;
    let (namespace, rest) = rest.split_once('.')?;
    (rest == "svc" || rest.starts_with("svc.")).then_some((name, namespace))
}

#[cfg(test)]
mod tests {
    use super::{Fit, fit};

    const REDIS: &str = "redis.data.svc.cluster.local";

    #[test]
    fn hosts_fit_as_istio_says() {
        for (rule_host, rule_namespace, host, expected) in [
            (REDIS, "other", REDIS, Some(Fit::Exact)),
            // istio.io/latest/docs/reference/config/networking/destination-rule: short names are of the rule's namespace.
            ("redis", "data", REDIS, Some(Fit::Exact)),
            ("redis", "other", REDIS, None),
            // «Not appended» when there is a dot: `redis.data` is no Service.
            ("redis.data", "data", REDIS, None),
            ("redis", "data", "redis.example.com", None),
            ("*", "data", REDIS, Some(Fit::Wildcard(1))),
            ("*.local", "data", REDIS, Some(Fit::Wildcard(7))),
            ("*.data.svc.cluster.local", "other", REDIS, Some(Fit::Wildcard(24))),
            // A suffix only, not whole labels (istio `mostSpecificHostWildcardMatch`).
            ("*edis.data.svc.cluster.local", "data", REDIS, Some(Fit::Wildcard(28))),
            ("*.example.com", "data", REDIS, None),
            ("*.example.com", "data", "*.example.com", Some(Fit::Exact)),
            ("*.com", "data", "*.example.com", Some(Fit::Wildcard(5))),
        ] {
            assert_eq!(
                fit(rule_host, rule_namespace, host),
                expected,
                "{rule_host} in {rule_namespace}, {host}"
            );
        }
        assert!(Fit::Exact > Fit::Wildcard(99) && Fit::Wildcard(3) > Fit::Wildcard(2));
    }
}
