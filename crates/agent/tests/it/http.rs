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
