//! What a new host fetches before it has joined: public, and the same for everybody.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use kernel::Problem;
use tokio::io::AsyncReadExt;

use crate::{Fleet, dist};

const CHUNK: usize = 64 * 1024;

pub(super) fn unreadable(error: std::io::Error) -> Problem {
    tracing::error!(%error, "the program's own file cannot be read");
    Problem::unavailable("the server cannot read its own program", 5)
}

/// The script that makes a machine part of the fleet
#[utoipa::path(get, path = "/join.sh", tag = "fleet",
    responses((status = 200, content_type = "text/x-shellscript", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_join_script(State(fleet): State<Fleet>) -> Result<Response, Problem> {
    let facts = fleet.0.program.facts().await.map_err(unreadable)?;
    let script = dist::join_script(&fleet.0.public_url, &facts);
    Ok(([(header::CONTENT_TYPE, "text/x-shellscript")], script).into_response())
}

/// The program, which is server and agent in one
#[utoipa::path(get, path = "/dist/mainstay", tag = "fleet",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_program(State(fleet): State<Fleet>) -> Result<Response, Problem> {
    let facts = fleet.0.program.facts().await.map_err(unreadable)?;
    let file = fleet.0.program.open().await.map_err(unreadable)?;
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut buffer = vec![0; CHUNK];
        let length = file.read(&mut buffer).await?;
        buffer.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then(|| (Bytes::from(buffer), file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, facts.size_bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(chunks.fuse())).into_response())
}

/// SHA-256 of the program, as `sha256sum` prints it
#[utoipa::path(get, path = "/dist/mainstay.sha256", tag = "fleet",
    responses((status = 200, content_type = "text/plain", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_program_checksum(State(fleet): State<Fleet>) -> Result<String, Problem> {
    let facts = fleet.0.program.facts().await.map_err(unreadable)?;
    Ok(format!("{}  mainstay\n", facts.sha256))
}

/// The agent's systemd unit
#[utoipa::path(get, path = "/dist/mainstay-agent.service", tag = "fleet",
    responses((status = 200, content_type = "text/plain", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_agent_unit() -> &'static str {
    dist::UNIT
}
