//! Help and completions: every subcommand has them, and a change of them is seen.

use crate::program::run;

#[test]
fn help_is_as_it_was() {
    for (name, arguments) in [
        ("mtlsnoop", &["--help"] as &[&str]),
        ("trace", &["trace", "--help"]),
        ("agent", &["agent", "--help"]),
        ("analyze", &["analyze", "--help"]),
        ("doctor", &["doctor", "--help"]),
        ("show", &["show", "--help"]),
        ("schema", &["schema", "--help"]),
        ("completions", &["completions", "--help"]),
    ] {
        let help = run(arguments);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        insta::assert_snapshot!(name, help.stdout);
    }
}

#[test]
fn the_version_is_told() {
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(version.stdout.trim(), concat!("mtlsnoop ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_has_completions_for_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""), "{shell}");
        for part in ["trace", "agent", "analyze", "doctor", "schema", "completions", "fail-on-finding"] {
            assert!(script.stdout.contains(part), "`{part}` is not completed in {shell}");
        }
    }
}
