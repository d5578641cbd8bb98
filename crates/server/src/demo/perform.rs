//! One command on a made-up host, from its acceptance to its end.

use std::sync::Arc;
use std::time::Duration;

use kernel::Kernel;
use protocol::{Command, CommandState, Stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::act;
use super::host::Host;

/// What a command tells while it runs.
pub enum Report {
    State(String, CommandState),
    Output(String, Stream, u64, Vec<u8>),
}

/// Runs one command and tells of it as it goes.
pub async fn perform(
    kernel: Kernel,
    host: Arc<Host>,
    command: Command,
    cancel: CancellationToken,
    reports: mpsc::Sender<Report>,
) {
    for state in [CommandState::Accepted, CommandState::Running] {
        let _ = reports.send(Report::State(command.id.clone(), state)).await;
    }
    let began_ms = kernel.clock.now_ms();
    let limit = Duration::from_millis(command.timeout_ms);
    let work = async {
        let answer = act::answer(&host, &command.action, began_ms);
        let pieces: Vec<&str> = answer.stdout.split_inclusive('\n').collect();
        let pause = answer.takes / (pieces.len() as u32 + 1);
        let mut offset = 0;
        for piece in pieces {
            tokio::time::sleep(pause).await;
            let data = piece.as_bytes().to_vec();
            let length = data.len() as u64;
            let _ = reports
                .send(Report::Output(command.id.clone(), Stream::Stdout, offset, data))
                .await;
            offset += length;
        }
        tokio::time::sleep(pause).await;
        if !answer.stderr.is_empty() {
            let data = answer.stderr.into_bytes();
            let _ = reports
                .send(Report::Output(command.id.clone(), Stream::Stderr, 0, data))
                .await;
        }
        answer.code
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(limit, work) => Some(outcome),
        () = cancel.cancelled() => None,
    };
    let duration_ms = u64::try_from(kernel.clock.now_ms() - began_ms).unwrap_or(0);
    let end = match outcome {
        Some(Ok(code)) => CommandState::Exited {
            exit_code: Some(code),
            signal: None,
            duration_ms,
            dropped_bytes: 0,
        },
        Some(Err(_)) => CommandState::TimedOut { duration_ms },
        None => CommandState::Cancelled { duration_ms },
    };
    let _ = reports.send(Report::State(command.id, end)).await;
}
