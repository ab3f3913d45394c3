//! Every scenario gives what is expected.

use mtlsnoop::{
    engine::{Connections, Settings},
    update::{Connection, Update},
};

use crate::story::{Story, lines, replay};

#[test]
fn every_story_ends_as_expected() {
    let failures: Vec<String> = Story::all()
        .iter()
        .filter_map(|story| {
            let (updates, summary) = replay(&story.events(), Settings::default());
            story.check(&lines(&updates, summary)).err()
        })
        .collect();
    assert!(failures.is_empty(), "{} stories end otherwise:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn connections_are_told_only_when_wanted_or_suspect() {
    for story in Story::all() {
        let told = |connections| {
            let (updates, summary) = replay(&story.events(), Settings { connections, ..Settings::default() });
            let told = |wanted: fn(&Connection) -> bool| {
                let is_wanted =
                    |update: &&Update| matches!(update, Update::Connection(connection) if wanted(connection));
                updates.iter().filter(is_wanted).count() as u64
            };
            let (all, suspect) = (told(|_| true), told(|connection| connection.suspicion.is_some()));
            (all, suspect, summary.reported + summary.began_before)
        };
        let (all, suspect, _) = told(Connections::Suspect);
        assert_eq!(all, suspect, "{}", story.name());
        let (all, suspect_as_well, ended) = told(Connections::All);
        assert_eq!((all, suspect_as_well), (ended, suspect), "{}", story.name());
    }
}
