//! The journal over crashes: once begun is begun, ends are kept.

use super::*;

fn command(id: &str, idempotent: bool) -> Command {
    Command {
        idempotent,
        ..stand_in(id)
    }
}

const DONE: CommandState = CommandState::Exited {
    exit_code: Some(0),
    signal: None,
    duration_ms: 1,
    dropped_bytes: 0,
};

#[test]
fn a_command_begins_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    assert!(journal.accept(command("a", false), 1).unwrap());
    assert!(!journal.accept(command("a", false), 2).unwrap());
    assert!(journal.begin("a", 3).unwrap());
    assert!(!journal.begin("a", 4).unwrap());
    // Killed and opened again: begun is begun.
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.get("a").unwrap().state, CommandState::Running);
    assert!(!journal.begin("a", 5).unwrap());
    journal.accept(command("b", true), 1).unwrap();
    assert!(journal.begin("b", 2).unwrap());
    assert!(journal.begin("b", 3).unwrap(), "an idempotent one may");
    journal.end("b", DONE, 4).unwrap();
    assert!(!journal.begin("b", 5).unwrap(), "not after its end");
}

#[test]
fn ends_are_kept_until_acknowledged_and_remembered_after() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    journal.accept(command("a", false), 1).unwrap();
    journal.acknowledge("a").unwrap();
    assert_eq!(
        journal.open_entries().count(),
        1,
        "no end, nothing to acknowledge"
    );
    journal.begin("a", 2).unwrap();
    journal.end("a", DONE, 3).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.open_entries().count(), 1);
    journal.acknowledge("a").unwrap();
    for _ in 0..2 {
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.open_entries().count(), 0);
        assert_eq!(journal.get("a").unwrap().state, DONE);
        assert!(!journal.accept(command("a", false), 9).unwrap());
    }
}

#[test]
fn every_cut_of_the_file_leaves_a_good_front() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    journal.accept(command("a", false), 1).unwrap();
    journal.begin("a", 2).unwrap();
    journal.end("a", DONE, 3).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let journal = Journal::open(&path).unwrap();
        if let Some(entry) = journal.get("a") {
            assert!(entry.command.is_some());
        }
    }
}

#[test]
fn old_acknowledged_commands_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&dir.path().join("journal")).unwrap();
    for number in 0..REMEMBERED + 5 {
        let id = format!("{number:05}");
        journal.apply(Record::Accepted {
            at_ms: 1,
            command: Box::new(command(&id, false)),
        });
        journal.apply(Record::Ended {
            id: id.clone(),
            at_ms: 1,
            state: DONE,
        });
        journal.apply(Record::Acknowledged { id });
    }
    assert_eq!(journal.entries.len(), REMEMBERED);
    assert!(journal.get("00004").is_none() && journal.get("00005").is_some());
}

#[test]
fn half_a_record_is_cut_before_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    journal.accept(command("a", false), 1).unwrap();
    // A write that the full disk has ended in the middle, and that could not be taken back.
    let half = &encode(&Record::Acknowledged { id: "a".into() }).unwrap()[..9];
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(half).unwrap();
    assert!(journal.begin("a", 2).unwrap());
    journal.end("a", DONE, 3).unwrap();
    journal.accept(command("b", false), 4).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(
        journal.get("a").unwrap().state,
        DONE,
        "what followed is not hidden"
    );
    assert_eq!(journal.get("b").unwrap().state, CommandState::Accepted);
}

#[test]
fn a_journal_that_cannot_be_written_anew_still_opens_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    Journal::open(&path)
        .unwrap()
        .accept(command("a", false), 1)
        .unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"torn").unwrap();
    // In the place of the new file there is something that cannot be replaced.
    std::fs::create_dir(path.with_extension("new")).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert!(journal.begin("a", 2).unwrap());
    std::fs::remove_dir(path.with_extension("new")).unwrap();
    assert_eq!(
        Journal::open(&path).unwrap().get("a").unwrap().state,
        CommandState::Running
    );
}
