//! Running a program: own process group, output captured, ended as a whole on timeout or cancel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use protocol::{CommandState, Stream};
use rustix::process::{Gid, Pid, Signal, Uid, kill_process_group, test_kill_process_group};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::output::Capture;
use super::user::Account;
use crate::host::processes::Processes;
use crate::rt;

/// Between the request to end and the order.
const GRACE: Duration = Duration::from_secs(5);
/// A child that lives on (a daemon that was started) may hold the pipes; this long its words still count.
const AFTERTHOUGHTS: Duration = Duration::from_secs(1);

/// In the environment of every command, so that its process is found when the agent was killed before it could note it.
const MARK: &str = "MAINSTAY_COMMAND_ID";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<String>,
    pub(crate) account: Option<Account>,
    pub(crate) stdin: Option<String>,
}

/// Why a command stops before its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    /// The agent itself stops.
    Shutdown,
}

/// What surrounds a run.
pub(crate) struct Control<'a> {
    pub(crate) folder: &'a PathBuf,
    pub(crate) id: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) cap_bytes: u64,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) shutdown: &'a CancellationToken,
    /// Called after each piece of output.
    pub(crate) spoke: std::sync::Arc<dyn Fn() + Send + Sync>,
}

/// Runs to the end. `spawned` gets the process id. `None` when the agent shut down in the middle.
pub(crate) async fn run(
    program: &Program,
    control: &Control<'_>,
    spawned: impl FnOnce(u32),
) -> Option<CommandState> {
    let begun = Instant::now();
    let mut child = match spawn(program, control.id).await {
        Ok(child) => child,
        Err(error) => return Some(CommandState::Failed { error }),
    };
    let pid = child.id().unwrap_or(0);
    spawned(pid);
    feed(&mut child, program.stdin.clone());
    let out = capture(child.stdout.take(), control, Stream::Stdout);
    let err = capture(child.stderr.take(), control, Stream::Stderr);
    let outcome = tokio::select! {
        status = child.wait() => Ok(status),
        () = tokio::time::sleep(control.timeout) => Err(None),
        () = control.cancel.cancelled() => Err(Some(Stop::Cancelled)),
        () = control.shutdown.cancelled() => Err(Some(Stop::Shutdown)),
    };
    if outcome.is_err() {
        end_group(pid, &mut child).await;
    }
    let dropped_bytes = finish(out).await + finish(err).await;
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Some(match outcome {
        Ok(Ok(status)) => CommandState::Exited {
            exit_code: status.code(),
            signal: std::os::unix::process::ExitStatusExt::signal(&status),
            duration_ms,
            dropped_bytes,
        },
        Ok(Err(error)) => CommandState::Failed {
            error: format!("failed to wait for the process: {error}"),
        },
        Err(None) => CommandState::TimedOut { duration_ms },
        Err(Some(Stop::Cancelled)) => CommandState::Cancelled { duration_ms },
        Err(Some(Stop::Shutdown)) => return None,
    })
}

async fn spawn(program: &Program, id: &str) -> Result<Child, String> {
    let mut command = prepare(program, id)?;
    let explain = |error: std::io::Error| {
        let name = program.argv.first().map(String::as_str).unwrap_or_default();
        match (error.kind(), &program.cwd) {
            (std::io::ErrorKind::NotFound, Some(cwd)) => {
                format!("failed to start {name:?} in {cwd:?}: {error}")
            }
            _ => format!("failed to start {name:?}: {error}"),
        }
    };
    match program.account.clone().filter(|account| !is_own(account)) {
        Some(account) => spawn_as(account, command).await.map_err(explain),
        None => command.spawn().map_err(explain),
    }
}

fn is_own(account: &Account) -> bool {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw()) == (account.uid, account.gid)
}

/// Starts a command as somebody else. Who a thread is, is the thread's own: one becomes the user, with all of the user's groups,
/// starts the command and ends.
async fn spawn_as(account: Account, mut command: Command) -> std::io::Result<Child> {
    let (sender, child) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    rt::thread("agent-command", move || {
        let _runtime = runtime.enter();
        let started = become_user(&account).and_then(|()| command.spawn());
        let _ = sender.send(started);
    })?;
    child
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn become_user(account: &Account) -> std::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let groups: Vec<Gid> = account.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn prepare(program: &Program, id: &str) -> Result<Command, String> {
    let (name, args) = program.argv.split_first().ok_or("the command names no program")?;
    let mut command = Command::new(name);
    command
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8");
    command
        .current_dir(program.cwd.as_deref().unwrap_or("/"))
        .process_group(0);
    command.stdin(if program.stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(account) = &program.account {
        let names = [
            ("HOME", &account.home),
            ("USER", &account.name),
            ("LOGNAME", &account.name),
            ("SHELL", &account.shell),
        ];
        command.envs(names);
    } else {
        command.envs(std::env::vars().filter(|(key, _)| matches!(key.as_str(), "HOME" | "USER" | "LOGNAME")));
    }
    // An id that cannot be in an environment (it comes from outside) would keep the command from starting.
    command.envs(&program.env).env(MARK, id.replace('\0', ""));
    Ok(command)
}

fn feed(child: &mut Child, text: Option<String>) {
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), text) {
        rt::spawn("command input", async move {
            // A program that does not read its input is no fault of ours.
            let _ = pipe.write_all(text.as_bytes()).await;
        });
    }
}

/// Reads a stream until its end. The count of dropped bytes comes when the stream ends; after the command has ended the
/// reader goes on and throws away, so that a daemon it left behind is not killed by a closed pipe.
fn capture<R: AsyncRead + Unpin + Send + 'static>(
    pipe: Option<R>,
    control: &Control<'_>,
    stream: Stream,
) -> Reading {
    let (sender, dropped) = oneshot::channel();
    let stop = CancellationToken::new();
    let capture = Capture::create(control.folder, control.id, stream, control.cap_bytes);
    if let (Some(mut pipe), Ok(mut capture)) = (pipe, capture) {
        let (stop, spoke) = (stop.clone(), control.spoke.clone());
        rt::spawn("command output", async move {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let read = tokio::select! {
                    biased;
                    read = pipe.read(&mut buffer) => read,
                    () = stop.cancelled() => break,
                };
                match read {
                    Ok(length) if length > 0 => {
                        capture.write(buffer.get(..length).unwrap_or_default());
                        spoke();
                    }
                    _ => break,
                }
            }
            let _ = sender.send(capture.dropped);
            drop(capture);
            while matches!(pipe.read(&mut buffer).await, Ok(length) if length > 0) {}
        });
    }
    Reading { dropped, stop }
}

struct Reading {
    dropped: oneshot::Receiver<u64>,
    stop: CancellationToken,
}

async fn finish(reading: Reading) -> u64 {
    let Reading { mut dropped, stop } = reading;
    match tokio::time::timeout(AFTERTHOUGHTS, &mut dropped).await {
        Ok(count) => count.unwrap_or(0),
        Err(_) => {
            stop.cancel();
            dropped.await.unwrap_or(0)
        }
    }
}

/// Asks the whole group to end, and after the grace orders it.
async fn end_group(pid: u32, child: &mut Child) {
    let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let _ = kill_process_group(group, Signal::TERM);
    let deadline = tokio::time::Instant::now() + GRACE;
    // The leader's exit is an event; that the rest of the group is gone can only be asked.
    let _ = tokio::time::timeout_at(deadline, child.wait()).await;
    while test_kill_process_group(group).is_ok() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait().await;
}

/// Ends what a killed agent has left running.
pub(crate) fn kill_left_over(pid: u32) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The process of a command that was begun and not noted: the leader of a group in somebody else's session (a daemon that
/// the command has started leads a session of its own) with the command's id in its environment.
pub(crate) fn find_left_over(procfs: &Path, id: &str) -> Option<u32> {
    let mark = format!("{MARK}={id}");
    let leads = |pid: u32| {
        let stat = std::fs::read(procfs.join(format!("{pid}/stat"))).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (_, rest) = stat.rsplit_once(") ")?;
        let number = |at: usize| rest.split_ascii_whitespace().nth(at)?.parse::<u32>().ok();
        Some(number(2)? == pid && number(3)? != pid)
    };
    let has_mark = |pid: u32| {
        let environment = std::fs::read(procfs.join(format!("{pid}/environ"))).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|one| one == mark.as_bytes())
    };
    let pids = Processes::new(procfs).pids();
    pids.into_iter()
        .find(|pid| leads(*pid) == Some(true) && has_mark(*pid))
}

/// Start time of a process in clock ticks since boot.
pub(crate) fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_runs_with_all_groups_of_its_user() {
        if !rustix::process::geteuid().is_root() {
            // Only root can become somebody else.
            return;
        }
        let account = Account {
            name: "made-up".into(),
            uid: 54_321,
            gid: 54_321,
            groups: vec![54_321, 54_322, 54_323],
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        let program = Program {
            argv: ["sh", "-c", "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status"]
                .map(String::from)
                .to_vec(),
            account: Some(account),
            ..Program::default()
        };
        let child = spawn(&program, "cmd_1").await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_ascii_whitespace().collect())
            .collect();
        assert_eq!(words[0], ["Uid:", "54321", "54321", "54321", "54321"], "{text}");
        assert_eq!(words[1], ["Gid:", "54321", "54321", "54321", "54321"], "{text}");
        assert_eq!(words[2], ["Groups:", "54321", "54322", "54323"], "{text}");
        assert_eq!(
            words[3],
            ["CapEff:", "0000000000000000"],
            "no power of root is left"
        );
        assert!(
            rustix::process::geteuid().is_root(),
            "the agent itself is who it was"
        );
    }
}
