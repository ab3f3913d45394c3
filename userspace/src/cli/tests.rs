//! What can be said on the command line, and what cannot.

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, Command, duration};
use crate::{
    config::{Analyze, ClusterSource, Color, Envoys, Format, Hooks, Output, Trace},
    filter::Selection,
};

fn parsed(line: &str) -> Result<Command, clap::error::ErrorKind> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command).map_err(|error| error.kind())
}

fn quiet_text() -> Output {
    Output {
        format: Format::Text,
        color: Color::Auto,
        selection: Selection::default(),
        is_finding_failure: false,
        is_verbose: false,
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_bare_trace_has_the_defaults() {
    let Ok(Command::Trace(arguments)) = parsed("mtlsnoop trace") else { panic!("trace is no command") };
    let expected = Trace {
        output: quiet_text(),
        cluster: ClusterSource::Auto,
        kubeconfig: None,
        node: None,
        record: None,
        duration: None,
        capture: crate::config::Capture::Always,
        disarm_after: Duration::from_secs(330),
        is_kernel_log_shown: false,
        ends_with_input: false,
        hooks: Hooks::default(),
        envoys: Envoys::default(),
    };
    assert_eq!(arguments.config(), Ok(expected));
}

#[test]
fn every_flag_of_a_trace_arrives() {
    let line = "mtlsnoop trace -o json --all -n a -n b -p c/d --fail-on-finding --color never -v -w f --duration 1h30m \
                --cluster c.json --kubeconfig k --node n --capture adaptive --disarm-after 30s --kernel-log --btf t --without-hook reset_sent --without-hook socket_state \
                --envoy-log l --envoy-log - --config-dump d --config-dump auto";
    let Ok(Command::Trace(arguments)) = parsed(line) else { panic!("{line}") };
    let expected = Trace {
        output: Output {
            format: Format::Json,
            color: Color::Never,
            selection: Selection {
                connections: true,
                namespaces: vec!["a".to_owned(), "b".to_owned()],
                pods: vec!["c/d".to_owned()],
            },
            is_finding_failure: true,
            is_verbose: true,
        },
        cluster: ClusterSource::File("c.json".into()),
        kubeconfig: Some("k".into()),
        node: Some("n".into()),
        record: Some("f".into()),
        duration: Some(Duration::from_mins(90)),
        capture: crate::config::Capture::Adaptive,
        disarm_after: Duration::from_secs(30),
        is_kernel_log_shown: true,
        ends_with_input: false,
        hooks: Hooks {
            btf: Some("t".into()),
            without: vec!["reset_sent".to_owned(), "socket_state".to_owned()],
        },
        envoys: Envoys { logs: vec!["l".into(), "-".into()], dumps: vec!["d".into()], are_asked: true },
    };
    assert_eq!(arguments.config(), Ok(expected));
}

#[test]
fn one_file_is_analyzed_or_several() {
    for (line, expected) in
        [("mtlsnoop analyze a --cluster none", &["a"] as &[&str]), ("mtlsnoop analyze a b", &["a", "b"])]
    {
        let Ok(Command::Analyze(arguments)) = parsed(line) else { panic!("{line}") };
        let Ok(Analyze { files, .. }) = arguments.config() else { panic!("{line}") };
        assert_eq!(files, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
    }
}

#[test]
fn what_cannot_be_said_is_a_usage_error() {
    use clap::error::ErrorKind::{
        ArgumentConflict, InvalidSubcommand, InvalidValue, MissingRequiredArgument, UnknownArgument,
        ValueValidation,
    };
    for (line, kind) in [
        ("mtlsnoop trace --frobnicate", UnknownArgument),
        ("mtlsnoop frobnicate", InvalidSubcommand),
        ("mtlsnoop trace -o yaml", InvalidValue),
        ("mtlsnoop trace --without-hook nonesuch", InvalidValue),
        ("mtlsnoop trace --capture sentinel", InvalidValue),
        ("mtlsnoop trace --duration 5", ValueValidation),
        ("mtlsnoop trace -A -n default", ArgumentConflict),
        ("mtlsnoop trace --end-with-input --envoy-log -", ArgumentConflict),
        ("mtlsnoop analyze", MissingRequiredArgument),
    ] {
        assert_eq!(parsed(line).err(), Some(kind), "{line}");
    }
}

#[test]
fn durations_need_units_and_length() {
    for (text, expected) in [
        ("30s", Some(Duration::from_secs(30))),
        ("5m", Some(Duration::from_mins(5))),
        ("1h30m", Some(Duration::from_mins(90))),
        ("250ms", Some(Duration::from_millis(250))),
        ("5", None),
        ("0s", None),
        ("-5s", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(duration(text).ok(), expected, "{text}");
    }
}
