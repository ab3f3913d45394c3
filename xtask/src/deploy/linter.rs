//! Linters of others: yamllint on YAML, hadolint on the Dockerfile. It knows where they are started and what they look at.
use crate::{process, setup::Validators, workspace::Workspace};

/// What yamllint is not to mind: lines of comments and descriptions are as long as elsewhere here.
const YAML: &str = "{extends: default, rules: {line-length: disable, document-start: disable, \
     braces: {max-spaces-inside: 1}, comments: {min-spaces-from-content: 1}, \
     indentation: {indent-sequences: consistent}, comments-indentation: disable}}";

/// YAML that is no template.
const FILES: [&str; 5] = [
    "deploy/helm/mtlsnoop/Chart.yaml",
    "deploy/helm/mtlsnoop/values.yaml",
    "deploy/helm/mtlsnoop/files/rules.yaml",
    "deploy/prometheus/rules_test.yaml",
    "deploy/manifests",
];

pub(super) fn check(workspace: &Workspace, validators: &Validators) -> Vec<String> {
    let mut yamllint = validators.module("yamllint");
    yamllint.args(["--strict", "--format", "parsable", "--config-data", YAML]).args(FILES);
    let mut hadolint = validators.program("hadolint");
    hadolint.args(["--no-color", "--failure-threshold", "info", "deploy/Dockerfile"]);
    [yamllint, hadolint]
        .iter_mut()
        .filter_map(|linter| process::read(linter.current_dir(&workspace.root)).err())
        .map(|error| format!("{error:#}"))
        .collect()
}
