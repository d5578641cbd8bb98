//! The ends of processes, by pidfd: the kernel wakes us when a process ends, whoever its parent is.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::rt;

/// Without pidfd (before Linux 5.3) we ask this often.
const POLL: Duration = Duration::from_millis(250);

/// Processes that are watched at most.
const MOST: usize = 1024;

/// Watches processes; the number of each that ends is sent once.
pub(crate) struct Deaths {
    watched: HashSet<u32>,
    sender: mpsc::Sender<u32>,
}

impl Deaths {
    pub(crate) fn new() -> (Self, mpsc::Receiver<u32>) {
        let (sender, receiver) = mpsc::channel(64);
        (
            Self {
                watched: HashSet::new(),
                sender,
            },
            receiver,
        )
    }

    /// Watches a process unless it is watched already.
    pub(crate) fn watch(&mut self, pid: u32) {
        if self.watched.len() >= MOST || !self.watched.insert(pid) {
            return;
        }
        let sender = self.sender.clone();
        rt::spawn("process watch", async move {
            tokio::select! {
                () = ended(pid) => {}
                // Nobody listens any more: the agent stops.
                () = sender.closed() => return,
            }
            let _ = sender.send(pid).await;
        });
    }

    /// To be called for each number received: it may be given to another process now.
    pub(crate) fn ended(&mut self, pid: u32) {
        self.watched.remove(&pid);
    }
}

async fn ended(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(fd) => {
            if wait(fd).await.is_none() {
                poll(pid).await;
            }
        }
        Err(rustix::io::Errno::SRCH) => {}
        Err(_) => poll(pid).await,
    }
}

#[expect(
    deprecated,
    reason = "unsound for foreign AsRawFd types only; an OwnedFd keeps its descriptor open"
)]
async fn wait(fd: OwnedFd) -> Option<()> {
    let fd = AsyncFd::with_interest(fd, Interest::READABLE).ok()?;
    fd.readable().await.ok().map(drop)
}

async fn poll(pid: Pid) {
    while test_kill_process(pid).is_ok() {
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_known_within_milliseconds() {
        let (mut deaths, mut receiver) = Deaths::new();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        deaths.watch(child.id());
        deaths.watch(child.id());
        tokio::task::yield_now().await;
        let begun = Instant::now();
        child.kill().unwrap();
        let pid = tokio::time::timeout(Duration::from_secs(5), receiver.recv())
            .await
            .unwrap();
        assert_eq!(pid, Some(child.id()));
        println!("known after {:?}", begun.elapsed());
        child.wait().unwrap();
        assert!(receiver.try_recv().is_err(), "told once");
    }
}
