//! A hundred kills with `-9`, twenty in each of five situations: while it collects, while it spools, in the middle of a
//! command, between the receipt of a command and its acknowledgement, between a command's end and its acknowledgement.
//!
//! What must hold after each: every number of a batch has arrived or is told of as lost, no number stands for two
//! batches, no log line is missing, no command began twice, every command has an end and that end tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use agent::Options;
use protocol::{Batch, Body, CommandState};
use tokio::net::TcpListener;

use crate::kill::{Agent, script};
use crate::server::{Record, Running, Server, eventually};

const KILLS: usize = 20;

/// The folder of an agent and of its host's files.
struct Lane {
    dir: tempfile::TempDir,
    server: Server,
}

impl Lane {
    async fn new() -> Self {
        let lane = Self {
            dir: in_memory(),
            server: Server::start().await,
        };
        lane.server.record.config.lock().unwrap().sample_interval_ms = 200;
        std::fs::create_dir_all(lane.path("root/var/log")).unwrap();
        lane
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An agent that has greeted.
    async fn start(&self) -> Agent {
        let before = self.server.record.hellos();
        let agent = Agent::on_small_host(self.dir.path(), &self.server.token());
        eventually("a greeting", || {
            (self.server.record.hellos() > before).then_some(())
        })
        .await;
        agent
    }

    /// So many batches more that are as wanted.
    async fn more(&self, count: usize, wanted: impl Fn(&Batch) -> bool) {
        let record = &self.server.record;
        let (mut seen, mut found) = (record.look(0, |_| {}), 0);
        eventually("batches", || {
            seen = record.look(seen, |batch| found += usize::from(wanted(batch)));
            (found >= count).then_some(())
        })
        .await;
    }

    /// Everything that was left by the last kill has arrived: what comes is live again.
    async fn settle(&self) {
        self.more(3, |batch| !batch.spooled).await;
    }

    /// A command that leaves a mark when it begins.
    fn marking(&self, id: &str, then: &str) -> protocol::Command {
        let mark = self.path(&format!("mark-{id}"));
        script(id, format!("echo begun >> {}; {then}", mark.display()), false)
    }

    fn begins(&self, id: &str) -> usize {
        let text = std::fs::read_to_string(self.path(&format!("mark-{id}"))).unwrap_or_default();
        text.lines().count()
    }

    async fn end(&self, id: &str) -> CommandState {
        eventually(&format!("the end of {id}"), || {
            let states = self.server.record.states(id);
            states.into_iter().find(CommandState::is_end)
        })
        .await
    }

    /// One end, the same each time it was told, and true.
    async fn check_command(&self, id: &str) {
        let end = self.end(id).await;
        let states = self.server.record.states(id);
        assert!(
            states
                .iter()
                .filter(|state| state.is_end())
                .all(|state| *state == end),
            "{id}: {states:?}"
        );
        let begins = self.begins(id);
        match end {
            CommandState::Exited { exit_code, .. } => {
                assert_eq!((begins, exit_code), (1, Some(0)), "{id}");
            }
            CommandState::Interrupted => assert!(begins <= 1, "{id} began {begins} times"),
            other => panic!("{id}: {other:?}"),
        }
    }
}

/// What a killed process has written outlives it wherever it is; waiting for a busy disk would only cost time.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// How many numbers never arrived, and how many the gaps tell of.
fn account(records: &[&Record]) -> (u64, u64) {
    let mut seqs: BTreeMap<u64, i64> = BTreeMap::new();
    let mut told: BTreeMap<u64, u64> = BTreeMap::new();
    let mut note = |batch: &Batch| {
        // One that comes again (its acknowledgement was on the way) is the same one.
        let first = *seqs.entry(batch.seq).or_insert(batch.at_ms);
        assert_eq!(first, batch.at_ms, "number {} was given twice", batch.seq);
        let gaps = batch.body.iter().filter_map(|body| match body {
            Body::Gap(gap) => Some(gap.batches),
            _ => None,
        });
        told.insert(batch.seq, gaps.sum());
    };
    for record in records {
        record.look(0, &mut note);
    }
    let missing = seqs.keys().last().unwrap() - seqs.len() as u64;
    (missing, told.values().sum())
}

fn append(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_collects() {
    let lane = Lane::new().await;
    lane.server.record.config.lock().unwrap().log_files = vec!["/var/log/app.log".into()];
    let log = lane.path("root/var/log/app.log");
    let mut written = 0;
    let mut write = |count: usize| {
        for _ in 0..count {
            append(&log, &format!("line {written}\n"));
            written += 1;
        }
        written
    };
    for round in 0..KILLS {
        write(3);
        let agent = lane.start().await;
        write(2);
        lane.more(round % 5, |_| true).await;
        agent.kill();
    }
    let written = write(1);
    let _agent = lane.start().await;
    let (mut seen, mut lines) = (0, BTreeSet::<String>::new());
    eventually("every line", || {
        seen = lane.server.record.look(seen, |batch| {
            for body in &batch.body {
                if let Body::Logs { lines: these, .. } = body {
                    lines.extend(these.iter().map(|line| line.text.clone()));
                }
            }
        });
        (lines.len() == written).then_some(())
    })
    .await;
    lane.settle().await;
    let (missing, told) = account(&[&lane.server.record]);
    // A batch whose acknowledgement was not yet noted may be told as lost and have arrived.
    assert!(told >= missing, "{missing} batches are missing, {told} told of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_spools() {
    let lane = Lane::new().await;
    // A run that ends well: it has the server's settings, and nothing is on the way.
    let agent = Running::start(Options {
        token: Some(lane.server.token()),
        ..Options::new(lane.path("state"))
    });
    let settings = lane.path("state/config.json");
    eventually("the settings", || settings.exists().then_some(())).await;
    agent.stop().await.unwrap();
    let Lane { dir, server } = lane;
    let (token, before) = (server.token(), server.record.clone());
    let (address, authority) = server.stop().await;
    let spooled = || {
        let files = std::fs::read_dir(dir.path().join("state/spool"))
            .into_iter()
            .flatten();
        let sizes = files.map(|file| file.unwrap().metadata().map_or(0, |data| data.len()));
        sizes.sum::<u64>()
    };
    for round in 0..KILLS {
        let agent = Agent::on_small_host(dir.path(), &token);
        for _ in 0..=round % 3 {
            let size = spooled();
            eventually("the spool to grow", || (spooled() > size).then_some(())).await;
        }
        agent.kill();
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::on(listener, authority).await;
    let lane = Lane { dir, server };
    let _agent = lane.start().await;
    lane.settle().await;
    let (missing, told) = account(&[&before, &lane.server.record]);
    // Nothing was on the wire, so the count is exact: numbers that were taken and whose batch did not reach the file.
    assert_eq!(told, missing);
    assert!(
        missing <= KILLS as u64,
        "a kill costs at most the batch in hand; {missing} are missing"
    );
    let mut spooled = 0;
    lane.server
        .record
        .look(0, |batch| spooled += usize::from(batch.spooled));
    assert!(spooled >= KILLS, "{spooled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_a_command() {
    let lane = Lane::new().await;
    let id = |round| format!("middle-{round}");
    for round in 0..KILLS {
        let agent = lane.start().await;
        let pid = lane.path(&format!("pid-{round}"));
        let then = format!("echo $$ > {}; sleep 600", pid.display());
        lane.server.dispatch(lane.marking(&id(round), &then));
        // At once, so now and then before its process is in the journal.
        eventually("the command", || (lane.begins(&id(round)) > 0).then_some(())).await;
        agent.kill();
    }
    let _agent = lane.start().await;
    for round in 0..KILLS {
        // A server that has heard nothing sends it again.
        lane.server.dispatch(lane.marking(&id(round), "true"));
        lane.check_command(&id(round)).await;
        assert_eq!(lane.end(&id(round)).await, CommandState::Interrupted);
        eventually("the end of what was left", || {
            let Ok(pid) = std::fs::read_to_string(lane.path(&format!("pid-{round}"))) else {
                return Some(());
            };
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        })
        .await;
    }
}

/// Kills as soon as the stage of this round is reached: sent, in the journal, told of, begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_receipt_and_acknowledgement() {
    let lane = Lane::new().await;
    let id = |round| format!("receipt-{round}");
    let in_journal = |id: &str| {
        let journal = std::fs::read(lane.path("state/commands/journal")).unwrap_or_default();
        String::from_utf8_lossy(&journal).contains(id)
    };
    for round in 0..KILLS {
        let agent = lane.start().await;
        let id = id(round);
        lane.server.dispatch(lane.marking(&id, "true"));
        eventually("the stage", || {
            let is_reached = match round % 4 {
                0 => true,
                1 => in_journal(&id),
                2 => !lane.server.record.states(&id).is_empty(),
                _ => lane.begins(&id) > 0,
            };
            is_reached.then_some(())
        })
        .await;
        agent.kill();
    }
    let _agent = lane.start().await;
    for round in 0..KILLS {
        lane.server.dispatch(lane.marking(&id(round), "true"));
        lane.check_command(&id(round)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_the_end_and_its_acknowledgement() {
    let lane = Lane::new().await;
    lane.server.record.acking.store(false, Ordering::SeqCst);
    let id = |round| format!("end-{round}");
    for round in 0..KILLS {
        let agent = lane.start().await;
        lane.server.dispatch(lane.marking(&id(round), "true"));
        assert!(matches!(lane.end(&id(round)).await, CommandState::Exited { .. }));
        agent.kill();
    }
    lane.server.record.acking.store(true, Ordering::SeqCst);
    let told_before: Vec<usize> = (0..KILLS)
        .map(|round| lane.server.record.states(&id(round)).len())
        .collect();
    let _agent = lane.start().await;
    for (round, before) in told_before.into_iter().enumerate() {
        let id = id(round);
        eventually("the end again", || {
            (lane.server.record.states(&id).len() > before).then_some(())
        })
        .await;
        lane.server.dispatch(lane.marking(&id, "true"));
        lane.check_command(&id).await;
        assert_eq!(lane.begins(&id), 1);
    }
    lane.settle().await;
    let (missing, told) = account(&[&lane.server.record]);
    assert!(told >= missing, "{missing} batches are missing, {told} told of");
}
