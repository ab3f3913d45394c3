//! Finds the cluster that is around: a kubeconfig by name, the account of a pod, or the user's own kubeconfig. Asks nothing of
//! it yet.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

use crate::notice;

/// What the kubelet sets in every container (client-go `rest/config.go`, `InClusterConfig`).
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// Patience with a connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Patience with a connection that says nothing. A watch has a bookmark about once a minute, and its server ends it
/// after 290 s, which is what the library asks for.
const SILENCE_PATIENCE: Duration = Duration::from_mins(5);

/// Why a cluster cannot be used.
#[derive(Debug, Error)]
pub enum StartError {
    /// The kubeconfig that was named cannot be used.
    #[error("cannot use the kubeconfig {}; `kubectl --kubeconfig {} version` tells more", path.display(), path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// No client can be made of what it says.
    #[error(
        "cannot make a client for the Kubernetes API at {url}; likely cause: a token, key or certificate that cannot be read"
    )]
    Client {
        /// The API server.
        url: Box<str>,
        /// What failed.
        source: Box<kube::Error>,
    },
    /// The system has no thread to spare.
    #[error("cannot start the thread that speaks with the Kubernetes API")]
    Thread(#[from] std::io::Error),
}

/// The cluster; none where there is none. Only a file that was named must be right.
pub(super) async fn find(kubeconfig: Option<&Path>) -> Result<Option<Config>, StartError> {
    let found = match kubeconfig {
        Some(path) => {
            let wrong = |source| StartError::Kubeconfig { path: path.to_owned(), source };
            Some(read(path).await.map_err(wrong)?)
        }
        None if env::var_os(SERVICE_HOST).is_some() => in_cluster(),
        None => of_user().await,
    };
    Ok(found.map(|mut config| {
        config.connect_timeout = Some(CONNECT_PATIENCE);
        config.read_timeout = Some(SILENCE_PATIENCE);
        config.reset_reader_on_write = true;
        config
    }))
}

async fn read(path: &Path) -> Result<Config, KubeconfigError> {
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await
}

/// The account that the kubelet gave to this pod.
fn in_cluster() -> Option<Config> {
    let say = |error: &InClusterError| {
        notice::warn(format_args!(
            "this is a pod of a cluster, but without an account: {error}. Nothing is asked of the Kubernetes API; \
             `automountServiceAccountToken: true` gives it one"
        ));
    };
    Config::incluster_env().inspect_err(say).ok()
}

async fn of_user() -> Option<Config> {
    match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => Some(config),
        Err(KubeconfigError::FindPath) => None,
        Err(KubeconfigError::ReadConfig(source, _)) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            notice::warn(format_args!("the user's kubeconfig is not used: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{StartError, find};
    use crate::source::kube::{Kube, Limits, Options, watch::describe};

    const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n\
        clusters: [{name: a, cluster: {server: 'https://127.0.0.1:6443'}}]\nusers: [{name: a, user: {token: t}}]\n";

    #[tokio::test]
    async fn a_kubeconfig_that_is_named_must_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        for (text, is_right) in [
            (Some(CONFIG), true),
            (Some("a: [b"), false),
            (Some("apiVersion: v1\nkind: Config\n"), false),
            (Some(&*CONFIG.replace("cluster: a,", "cluster: b,")), false),
            (None, false),
        ] {
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            match find(Some(&path)).await {
                Ok(Some(config)) if is_right => assert_eq!(config.cluster_url.port_u16(), Some(6443)),
                Err(StartError::Kubeconfig { path: told, .. }) if !is_right => assert_eq!(told, path),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_token_that_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, CONFIG.replace("token: t", "tokenFile: missing")).unwrap();
        let options = Options { node: "node-1".into(), kubeconfig: Some(path), limits: Limits::default() };
        let error = Kube::start(&options).err().unwrap();
        assert!(matches!(&error, StartError::Client { .. }), "{error:?}");
        assert!(describe(&error).contains("No such file"), "{}", describe(&error));
    }
}
