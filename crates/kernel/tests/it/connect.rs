//! Why a database does not open, in one sentence and at once.

use kernel::db::DbOptions;
use kernel::{Clock, Db};

async fn refused(options: &DbOptions) -> String {
    match Db::open(options, Clock::System).await {
        Ok(_) => panic!("{} opens", options.url),
        Err(error) => {
            assert!(
                std::error::Error::source(&error).is_none(),
                "it is said once: {error:?}"
            );
            error.to_string()
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_once_and_at_once() {
    let error = refused(&DbOptions::postgres("postgres://ann:secret@127.0.0.1:1/ops")).await;
    assert_eq!(
        error,
        "the database at 127.0.0.1:1/ops cannot be opened: connection refused; check that the server runs, \
         that the user may sign in and that the database exists"
    );
    let error = refused(&DbOptions::postgres("mysql://ann:secret@127.0.0.1/ops")).await;
    assert!(
        error.contains("\"mysql\"") && error.contains("postgres://"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
    let error = refused(&DbOptions::postgres("nonsense")).await;
    assert!(error.contains("postgres://"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mainstay.db");
    std::fs::write(
        &file,
        "this is no database, and it is long enough to be read as one".repeat(100),
    )
    .unwrap();
    let error = refused(&DbOptions::sqlite(&file)).await;
    assert!(
        error.contains("mainstay.db is damaged") && error.contains("mainstay restore"),
        "{error}"
    );
}
