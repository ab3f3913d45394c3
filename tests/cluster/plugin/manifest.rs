//! The manifest for krew, filled in as its README says, against krew's own rules. It must not know krew's index.

use std::fs;

use serde_json::Value;

use super::desk::script;

/// The manifest with what is left open filled in.
fn filled_in() -> Value {
    let template = fs::read_to_string(script().with_file_name("krew.yaml")).unwrap();
    let text = template
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("HOMEPAGE", "https://mtlsnoop.example")
        .replace("ARCHIVE", "https://mtlsnoop.example/kubectl-mtlsnoop.tar.gz")
        .replace("SHA256", &"0123456789abcdef".repeat(4));
    serde_saphyr::from_str(&text).unwrap()
}

/// Krew's `internal/index/validation/validate.go`.
#[test]
fn krew_takes_the_manifest() {
    let manifest = filled_in();
    let spec = &manifest["spec"];
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    assert_eq!(manifest["metadata"]["name"], "mtlsnoop");
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    for key in ["shortDescription", "description", "caveats", "homepage"] {
        assert!(spec[key].as_str().is_some_and(|text| !text.trim().is_empty()), "{key}");
    }
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50, "as krew's naming guide asks");
    let platforms = spec["platforms"].as_array().unwrap();
    assert!(!platforms.is_empty());
    for platform in platforms {
        let digest = platform["sha256"].as_str().unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        assert!(platform["uri"].as_str().unwrap().starts_with("https://"));
        assert!(!platform["selector"]["matchExpressions"].as_array().unwrap().is_empty());
        // The archive holds what is taken out of it, and the program is one of them.
        let files: Vec<&str> =
            platform["files"].as_array().unwrap().iter().map(|file| file["from"].as_str().unwrap()).collect();
        assert_eq!(platform["bin"], "kubectl-mtlsnoop");
        assert_eq!(files, ["kubectl-mtlsnoop", "LICENSE-*"]);
    }
}
