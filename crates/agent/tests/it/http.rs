//! HTTP requests that the agent makes from its host.

use std::collections::BTreeMap;

use protocol::{Action, Command, CommandState, HttpMethod, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::act::{end_of, output, script, start};
use crate::server::Server;

#[tokio::test]
async fn an_http_request_is_made_from_the_host() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            assert!(String::from_utf8_lossy(&request[..length]).starts_with("POST /hook HTTP/1.1"));
            stream
                .write_all(b"HTTP/1.1 418 Teapot\r\ncontent-length: 5\r\nconnection: close\r\n\r\nshort")
                .await
                .unwrap();
        }
    };
    let command = |id: &str, expect_status: Vec<u16>| Command {
        action: Action::Http {
            method: HttpMethod::Post,
            url: format!("http://{address}/hook"),
            headers: BTreeMap::from([("x-a".into(), "b".into())]),
            body: Some("{}".into()),
            expect_status,
        },
        ..script(id, "")
    };
    server.dispatch(command("a", vec![]));
    server.dispatch(command("b", vec![418]));
    let ends = async { (end_of(&server, "a").await, end_of(&server, "b").await) };
    let ((), (a, b)) = tokio::join!(answer, ends);
    assert!(
        matches!(
            a,
            CommandState::Exited {
                exit_code: Some(1),
                ..
            }
        ),
        "{a:?}"
    );
    assert!(
        matches!(
            b,
            CommandState::Exited {
                exit_code: Some(0),
                ..
            }
        ),
        "{b:?}"
    );
    assert_eq!(output(&server, "b", Stream::Stdout), "short");
    assert!(output(&server, "b", Stream::Stderr).starts_with("418"));
    agent.stop().await.unwrap();
}

/// Answers one request with a redirect to `location`; the head of the request.
async fn redirect_once(listener: &tokio::net::TcpListener, status: &str, location: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

#[tokio::test]
async fn a_redirect_takes_secrets_to_no_other_server_and_changes_no_method() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let thief = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let there = format!("http://{}/take", thief.local_addr().unwrap());
    let command = |id: &str, method: HttpMethod, expect_status: Vec<u16>| Command {
        action: Action::Http {
            method,
            url: format!("{here}/hook"),
            headers: BTreeMap::from([("x-api-key".into(), "secret".into())]),
            body: None,
            expect_status,
        },
        ..script(id, "")
    };
    let code = |state: CommandState| match state {
        CommandState::Exited { exit_code, .. } => exit_code,
        other => panic!("{other:?}"),
    };
    // To another server: the redirect is the answer, whatever its kind.
    for (id, method, status) in [
        ("get", HttpMethod::Get, "302 Found"),
        ("kept", HttpMethod::Post, "307 Temporary Redirect"),
    ] {
        server.dispatch(command(id, method, vec![]));
        redirect_once(&listener, status, &there).await;
        assert_eq!(code(end_of(&server, id).await), Some(1), "{id}");
        assert!(
            output(&server, id, Stream::Stderr).contains("was not followed"),
            "{id}"
        );
    }
    // A POST does not become a GET, and the redirect may be what is expected.
    server.dispatch(command("post", HttpMethod::Post, vec![302]));
    redirect_once(&listener, "302 Found", "/login").await;
    assert_eq!(code(end_of(&server, "post").await), Some(0));
    // On the same server it is followed.
    server.dispatch(command("same", HttpMethod::Get, vec![404]));
    redirect_once(&listener, "301 Moved Permanently", "/hook/").await;
    let followed = redirect_once(&listener, "404 Not Found", "/").await;
    assert!(
        followed.starts_with("GET /hook/ ") && followed.contains("x-api-key: secret"),
        "{followed}"
    );
    assert_eq!(code(end_of(&server, "same").await), Some(0));
    let taken = tokio::time::timeout(std::time::Duration::ZERO, thief.accept()).await;
    assert!(taken.is_err(), "nobody came to the other server");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_without_an_answer_has_an_unknown_outcome() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/pay", listener.local_addr().unwrap());
    let command = |id: &str, method: HttpMethod, timeout_ms: u64| Command {
        action: Action::Http {
            method,
            url: url.clone(),
            headers: BTreeMap::new(),
            body: None,
            expect_status: vec![],
        },
        timeout_ms,
        ..script(id, "")
    };
    let take = async || {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream
    };
    server.dispatch(command("late", HttpMethod::Post, 300));
    let held = take().await;
    let end = end_of(&server, "late").await;
    assert!(matches!(end, CommandState::TimedOut { .. }), "{end:?}");
    drop(held);
    server.dispatch(command("cut", HttpMethod::Post, 30_000));
    drop(take().await);
    assert_eq!(end_of(&server, "cut").await, CommandState::Interrupted);
    // Asking again does no harm: it is an error like any other.
    server.dispatch(command("read", HttpMethod::Get, 30_000));
    drop(take().await);
    let end = end_of(&server, "read").await;
    assert!(matches!(end, CommandState::Failed { .. }), "{end:?}");
    agent.stop().await.unwrap();
}
