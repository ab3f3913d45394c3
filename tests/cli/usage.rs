//! Wrong usage: exit code 2, nothing done, and a message that says what is possible.

use crate::program::{incident, run};

#[test]
fn what_cannot_be_said_exits_with_2_and_says_what_can() {
    for (arguments, says) in [
        (&["trace", "--frobnicate"] as &[&str], "unexpected argument '--frobnicate'"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&[], "Usage: mtlsnoop <COMMAND>"),
        (&["trace", "-o", "yaml"], "[possible values: text, json]"),
        (&["trace", "--capture", "sometimes"], "[possible values: adaptive, always]"),
        (&["trace", "--color", "sometimes"], "[possible values: auto, always, never]"),
        (&["trace", "--duration", "5"], "30s, 5m or 1h30m"),
        (&["trace", "--duration", "0s"], "longer than nothing"),
        (&["trace", "-A", "-n", "default"], "cannot be used with"),
        (&["trace", "surplus"], "unexpected argument 'surplus'"),
        (&["analyze"], "<FILE>..."),
        (&["completions", "cmd"], "[possible values: bash"),
    ] {
        run(arguments).fails_with(2, &[says]);
    }
}

#[test]
fn pods_are_not_selected_where_nothing_tells_of_pods() {
    let (_folder, path) = incident();
    for arguments in [
        &["trace", "-n", "default"] as &[&str],
        &["trace", "-p", "redis-0", "--cluster", "none"],
        &["analyze", &path, "-n", "default", "--cluster", "none"],
    ] {
        run(arguments)
            .fails_with(2, &["--cluster FILE", "kubectl get pods,services,endpointslices -A -o json"]);
    }
}
