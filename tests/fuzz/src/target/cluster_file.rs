//! Reading of what kubectl prints, and what the core makes of it.

use mtlsnoop::{
    engine::{Engine, Settings},
    event::{ClusterSeen, Event, time::Time},
    source::cluster_file,
};

/// The text of a file.
pub(crate) fn parse(bytes: &[u8]) {
    let Ok(reading) = cluster_file::parse(bytes) else { return };
    let mut engine = Engine::new(Settings::default());
    let seen = ClusterSeen { time: Time(0), cluster: reading.cluster };
    engine.apply(&Event::Cluster(Box::new(seen)), &mut Vec::new());
}
