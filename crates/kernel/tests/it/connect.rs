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

/// Nobody listens at first; then a PostgreSQL does, through a port that is opened late.
#[tokio::test]
async fn a_server_that_is_not_up_yet_is_waited_for() {
    let url = testkit::postgres::database().await;
    let (_, rest) = url.split_once('@').unwrap();
    let (real, name) = rest.split_once('/').unwrap();
    let (real, name) = (real.to_owned(), name.to_owned());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let options = DbOptions::postgres(&format!("postgres://mainstay@{address}/{name}"));
    assert!(refused(&options).await.contains("connection refused"));
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let pass_on = async || {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut to = tokio::net::TcpStream::connect(&real).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        };
        // The first attempt is one connection, and the pool opens another.
        tokio::join!(pass_on(), pass_on());
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::select! {
        opened = Db::open_when_up(&options, Clock::System, patience) => assert!(opened.is_ok()),
        _ = late => panic!("the connections ended"),
    }
}
