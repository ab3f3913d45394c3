//! The cluster that a run is told to know: read at the start, known from the first event on; must not know identity.

use crate::{
    config::ClusterSource,
    event::{ClusterSeen, Event, cluster::Cluster},
    notice,
    source::cluster_file::{self, Error},
};

/// What is known of the cluster beside what the source itself tells.
#[derive(Debug)]
pub enum GivenCluster {
    /// What the source tells, if it does.
    OfSource,
    /// Nothing, whatever the source tells.
    Nothing,
    /// This, whatever the source tells.
    Objects(Box<Cluster>),
}

impl GivenCluster {
    /// Reads what was asked for.
    pub fn read(source: &ClusterSource, is_verbose: bool) -> Result<Self, Error> {
        let path = match source {
            ClusterSource::Auto => return Ok(Self::OfSource),
            ClusterSource::None => return Ok(Self::Nothing),
            ClusterSource::File(path) => path,
        };
        let reading = cluster_file::read(path)?;
        if is_verbose {
            let Cluster { pods, services, endpoints, istio } = &reading.cluster;
            let (pods, services, endpoints) = (pods.len(), services.len(), endpoints.len());
            let (rules, policies) = (istio.destination_rules.len(), istio.peer_authentications.len());
            let path = path.display();
            notice::warn(format_args!(
                "{path} has {pods} pods, {services} Services, {endpoints} endpoint ports, {rules} DestinationRules and {policies} \
                 PeerAuthentications"
            ));
            for ignored in &reading.ignored {
                notice::warn(format_args!("not used from {path}: {ignored}"));
            }
        }
        Ok(Self::Objects(Box::new(reading.cluster)))
    }

    /// Passes an event of the source on, with what is given right after the beginning.
    pub fn pass(&self, event: &Event, on: &mut dyn FnMut(&Event)) {
        match (self, event) {
            (Self::Nothing | Self::Objects(_), Event::Cluster(_)) => {}
            (Self::Objects(cluster), Event::Began(began)) => {
                on(event);
                on(&Event::Cluster(Box::new(ClusterSeen {
                    time: began.time,
                    cluster: Cluster::clone(cluster),
                })));
            }
            _ => on(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GivenCluster;
    use crate::event::{
        Began, Capture, ClusterSeen, Event,
        cluster::{Cluster, Service},
        time::Time,
    };

    fn cluster(service: &str) -> Cluster {
        let service = Service { name: service.into(), ..Service::default() };
        Cluster { services: vec![service], ..Cluster::default() }
    }

    fn known(service: &str) -> Event {
        Event::Cluster(Box::new(ClusterSeen { time: Time(5), cluster: cluster(service) }))
    }

    #[test]
    fn the_given_cluster_comes_right_after_the_beginning_and_alone() {
        let began = Event::Began(Began {
            time: Time(5),
            node: "node".into(),
            capture: Capture::Always,
            looks_up: false,
        });
        let tick = Event::Tick(Time(6));
        let source = [began.clone(), known("recorded"), tick.clone()];
        for (given, expected) in [
            (GivenCluster::OfSource, vec![began.clone(), known("recorded"), tick.clone()]),
            (GivenCluster::Nothing, vec![began.clone(), tick.clone()]),
            (
                GivenCluster::Objects(Box::new(cluster("given"))),
                vec![began.clone(), known("given"), tick.clone()],
            ),
        ] {
            let mut passed = Vec::new();
            for event in &source {
                given.pass(event, &mut |event| passed.push(event.clone()));
            }
            assert_eq!(passed, expected, "{given:?}");
        }
    }
}
