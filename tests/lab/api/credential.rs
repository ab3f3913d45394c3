//! The server's certificate, a user's token, and the kubeconfig that names both, in files; it must not know who reads
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::container::random_uid;

/// Files of a server. Those that are there are used again: a server that is started again is the same.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    pub(crate) fn in_folder(folder: &Path, host: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let credentials = Self { folder: folder.to_owned() };
        if !credentials.key().exists() {
            credentials.make_certificate(host)?;
        }
        Ok(credentials)
    }

    /// The certificate of the authority that signed the server's, PEM.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// The file with a user's token.
    pub(crate) fn token(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.token"))
    }

    /// The token in a user's file, which is made if it is not there.
    pub(crate) fn read_token(&self, user: &str) -> Result<String> {
        match fs::read_to_string(self.token(user)) {
            Ok(token) => Ok(token),
            Err(_) => self.new_token(user),
        }
    }

    /// Puts another token into a user's file, as the kubelet does.
    pub(crate) fn new_token(&self, user: &str) -> Result<String> {
        let token = format!("{user}-{}", random_uid()?);
        let draft = self.folder.join(format!("{user}.token.new"));
        fs::write(&draft, &token)?;
        fs::rename(&draft, self.token(user)).context("could not replace the token")?;
        Ok(token)
    }

    /// Writes a kubeconfig for a user; JSON is YAML too.
    pub(crate) fn kubeconfig(&self, user: &str, server: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{user}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [{
                "name": "lab",
                "cluster": { "certificate-authority": self.authority(), "server": server }
            }],
            "users": [{ "name": user, "user": { "tokenFile": self.token(user) } }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": user } }],
            "current-context": "lab"
        });
        fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        Ok(path)
    }

    /// What the server needs to speak TLS.
    pub(crate) fn tls(&self) -> Result<Arc<ServerConfig>> {
        let certificate =
            CertificateDer::from_pem_file(self.certificate()).context("no server certificate")?;
        let key = PrivateKeyDer::from_pem_file(self.key()).context("no server key")?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("apiserver.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("apiserver.key")
    }

    fn make_certificate(&self, host: &str) -> Result<()> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "kubernetes");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", host];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        fs::write(self.authority(), authority.pem())?;
        fs::write(self.certificate(), server.signed_by(&key, &authority)?.pem())?;
        fs::write(self.key(), key.serialize_pem()).context("could not write the server's key")
    }
}
