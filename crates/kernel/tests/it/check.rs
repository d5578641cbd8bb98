//! What a database tells of its past, and damage inside its file.

use std::os::unix::fs::FileExt;

use kernel::db::{DbOptions, Past};
use kernel::{Actor, Clock, Db, NewEvent};
use testkit::Bed;

#[tokio::test]
async fn an_empty_a_new_and_a_used_database_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = DbOptions::sqlite(&dir.path().join("mainstay.db"));
    let postgres = DbOptions::postgres(&testkit::postgres::database().await);
    for options in [sqlite, postgres] {
        let db = Db::open(&options, Clock::System).await.unwrap();
        assert_eq!(db.past().await.unwrap(), Past::None);
        db.migrate(&[]).await.unwrap();
        assert_eq!(db.past().await.unwrap(), Past::SetUp);
        let mut tx = db.write().await.unwrap();
        tx.append(&Actor::system("test"), NewEvent::new("note.written", "x", &()))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(db.past().await.unwrap(), Past::Used);
    }
}

/// One byte in the middle of the file, in a page that no start reads.
#[tokio::test]
async fn a_flipped_byte_in_the_file_is_found_and_told() {
    let bed = Bed::sqlite(&[]).await;
    let kernel = bed.kernel();
    let mut tx = kernel.db.write().await.unwrap();
    let events = (0..5000).map(|n| NewEvent::new("note.written", format!("subject-{n}"), &()));
    tx.append_all(&Actor::system("test"), events.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kernel.db.check().await.unwrap(), Vec::<String>::new());
    kernel.db.close().await;

    let path = bed.dir().join("mainstay.db");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // The text of a row that an index has too.
    let wanted = b"subject-2500";
    let at = bytes
        .windows(wanted.len())
        .position(|part| part == wanted)
        .unwrap();
    file.write_all_at(b"S", at as u64).unwrap();

    let db = Db::open(&DbOptions::sqlite(&path), Clock::System).await.unwrap();
    let kernel = kernel::Kernel { db, ..kernel.clone() };
    assert!(!kernel.db.check().await.unwrap().is_empty());
    let mut log = kernel.db.watch_events();
    kernel::task::start(&kernel, kernel::db::checks());
    log.changed().await.unwrap();
    let seq = *log.borrow();
    let told = kernel::event::store::get(&mut kernel.db.read().await.unwrap(), seq)
        .await
        .unwrap();
    assert_eq!(told.unwrap().topic, "database.damaged");
    let metrics = kernel.metrics.render();
    assert!(!metrics.contains("mainstay_database_damage 0"), "{metrics}");
}
