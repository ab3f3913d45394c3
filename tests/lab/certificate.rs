//! A mesh's certificates: a root and what it signs; it must not know who presents them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// The identity of the default service account in the namespace `default`.
pub const DEFAULT_IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/default";

/// An authority and its certificate in a file.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    root: PathBuf,
}

/// A certificate and its key in files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The certificate of the authority that signed it, PEM.
    pub root: PathBuf,
}

impl Authority {
    /// Makes an authority that keeps its files in a new folder `name` below `folder`.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "cluster.local");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)
            .context("could not make a certificate authority")?;
        let root = folder.join("root.pem");
        fs::write(&root, issuer.pem())?;
        Ok(Self { issuer, folder, root })
    }

    /// Signs a certificate for `uri` (a SPIFFE identity), good for either end of a connection.
    pub fn sign(&self, name: &str, uri: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let signed = params.signed_by(&key, &self.issuer).context("could not sign a certificate")?;
        let identity = Identity {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
            root: self.root.clone(),
        };
        fs::write(&identity.certificate, signed.pem())?;
        // Readable for every user: it lives as long as the lab, and Envoy, nginx and others have to read it.
        fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }

    /// The authority's own certificate, PEM.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
