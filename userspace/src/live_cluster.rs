//! The cluster that is around, for runs that are live: whether it is spoken with; must not know what it tells.

use std::path::Path;

use anyhow::Result;

use crate::{
    config::ClusterSource,
    notice,
    source::{
        kernel::node_name,
        kube::{Kube, Limits, Options, StartError},
    },
};

/// Starts to speak with the Kubernetes API, if that is asked for and there is one.
///
/// A kubeconfig that was named must be right. What is only found around must not keep a run from tracing.
pub fn start(
    source: &ClusterSource,
    kubeconfig: Option<&Path>,
    node: Option<&str>,
) -> Result<Option<Kube>, StartError> {
    if *source != ClusterSource::Auto {
        return Ok(None);
    }
    notice::show_log();
    let node = node.map_or_else(node_name, Into::into);
    let options = Options { node, kubeconfig: kubeconfig.map(Into::into), limits: Limits::default() };
    match Kube::start(&options) {
        Err(error) if kubeconfig.is_none() => {
            notice::warn(format_args!(
                "{:#}. Names of pods and Services are not known",
                anyhow::Error::new(error)
            ));
            Ok(None)
        }
        started => started,
    }
}
