//! Every scenario gives what is expected.

use mtlsnoop::{engine::Settings, update::Update};

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
fn connections_are_told_only_when_wanted() {
    for story in Story::all() {
        let told = |connections| {
            let (updates, summary) = replay(&story.events(), Settings { connections, ..Settings::default() });
            let count = updates.iter().filter(|update| matches!(update, Update::Connection(_))).count();
            (count as u64, summary.reported + summary.began_before)
        };
        assert_eq!(told(false).0, 0, "{}", story.name());
        let (count, ended) = told(true);
        assert_eq!(count, ended, "{}", story.name());
    }
}
