//! Commands in real processes: once, streamed, capped, ended as a group, kept over cuts and crashes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use agent::Options;
use protocol::{Action, Command, CommandState, Stream, ToAgent, ToServer};

use crate::server::{Running, Server, eventually};

pub fn script(id: &str, text: &str) -> Command {
    let action = Action::Script {
        interpreter: None,
        script: text.into(),
        args: Vec::new(),
        env: BTreeMap::new(),
        user: None,
    };
    Command {
        id: id.into(),
        action,
        timeout_ms: 30_000,
        output_cap_bytes: 1 << 20,
        idempotent: false,
    }
}

pub async fn start(dir: &tempfile::TempDir, server: &Server) -> Running {
    let options = Options {
        token: Some(server.token()),
        ..Options::new(dir.path().join("state"))
    };
    let before = server.record.hellos();
    let agent = Running::start(options);
    eventually("a connection", || (server.record.hellos() > before).then_some(())).await;
    agent
}

pub async fn end_of(server: &Server, id: &str) -> CommandState {
    eventually(&format!("the end of {id}"), || {
        server.record.states(id).into_iter().find(CommandState::is_end)
    })
    .await
}

pub fn output(server: &Server, command: &str, stream: Stream) -> String {
    let mut text: Vec<u8> = Vec::new();
    for message in server.record.messages.lock().unwrap().iter() {
        if let ToServer::Output {
            id,
            stream: s,
            offset,
            data,
        } = message
            && (id.as_str(), *s) == (command, stream)
        {
            text.truncate(usize::try_from(*offset).unwrap());
            text.extend(data);
        }
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_script_runs_and_its_output_comes_before_its_end() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let mut command = script("cmd_1", "echo \"$GREETING $1\"; echo oops >&2; exit 3");
    if let Action::Script { args, env, .. } = &mut command.action {
        args.push("you".into());
        env.insert("GREETING".into(), "hello".into());
    }
    server.dispatch(command);
    let end = end_of(&server, "cmd_1").await;
    assert!(
        matches!(
            end,
            CommandState::Exited {
                exit_code: Some(3),
                signal: None,
                dropped_bytes: 0,
                ..
            }
        ),
        "{end:?}"
    );
    assert_eq!(output(&server, "cmd_1", Stream::Stdout), "hello you\n");
    assert_eq!(output(&server, "cmd_1", Stream::Stderr), "oops\n");
    let states = server.record.states("cmd_1");
    assert!(
        states.iter().position(|s| *s == CommandState::Accepted)
            < states.iter().position(CommandState::is_end)
    );
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_repeated_dispatch_is_answered_and_not_executed() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let witness = dir.path().join("witness");
    let command = script("cmd_1", &format!("echo once >> {}", witness.display()));
    for _ in 0..3 {
        server.dispatch(command.clone());
    }
    end_of(&server, "cmd_1").await;
    // After the acknowledgement too, and after a restart.
    server.dispatch(command.clone());
    agent.stop().await.unwrap();
    let agent = start(&dir, &server).await;
    let before = server.record.states("cmd_1").len();
    server.dispatch(command);
    eventually("an answer", || {
        (server.record.states("cmd_1").len() > before).then_some(())
    })
    .await;
    assert!(server.record.states("cmd_1").last().unwrap().is_end());
    assert_eq!(std::fs::read_to_string(&witness).unwrap(), "once\n");
    agent.stop().await.unwrap();
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn read_file(path: &Path) -> String {
    eventually(&path.display().to_string(), || {
        std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
    .await
}

#[tokio::test]
async fn a_cancel_ends_grandchildren_too() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let pid_file = dir.path().join("pid");
    server.dispatch(script(
        "cmd_1",
        &format!(
            "sh -c 'sleep 600 & echo $! > {}; wait' & wait",
            pid_file.display()
        ),
    ));
    let pid = read_file(&pid_file).await;
    assert!(is_alive(&pid));
    server.tell(ToAgent::Cancel { id: "cmd_1".into() });
    assert!(matches!(
        end_of(&server, "cmd_1").await,
        CommandState::Cancelled { .. }
    ));
    eventually("the grandchild's end", || (!is_alive(&pid)).then_some(())).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_that_ignores_the_request_is_killed_after_its_timeout() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let mut command = script("cmd_1", "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    command.timeout_ms = 300;
    server.dispatch(command);
    let end = end_of(&server, "cmd_1").await;
    assert!(
        matches!(end, CommandState::TimedOut { duration_ms } if (5300..9000).contains(&duration_ms)),
        "{end:?}"
    );
    assert_eq!(output(&server, "cmd_1", Stream::Stdout), "ready\n");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn output_is_capped_and_a_daemon_left_behind_does_not_hold_the_end_up() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let pid_file = dir.path().join("pid");
    let text = format!(
        "head -c 100000 /dev/zero | tr '\\0' x; sleep 600 & echo $! > {}",
        pid_file.display()
    );
    let mut command = script("cmd_1", &text);
    command.output_cap_bytes = 1000;
    server.dispatch(command);
    let end = end_of(&server, "cmd_1").await;
    assert!(
        matches!(
            end,
            CommandState::Exited {
                exit_code: Some(0),
                dropped_bytes: 99_000,
                ..
            }
        ),
        "{end:?}"
    );
    assert_eq!(output(&server, "cmd_1", Stream::Stdout).len(), 1000);
    let pid = read_file(&pid_file).await;
    assert!(is_alive(&pid), "a daemon that was started lives on");
    std::process::Command::new("kill")
        .arg(pid.trim())
        .status()
        .unwrap();
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_begin_says_why() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let exec = |id: &str, argv: &[&str], user: Option<&str>| Command {
        action: Action::Exec {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            cwd: None,
            user: user.map(str::to_owned),
            stdin: Some("from stdin".into()),
        },
        ..script(id, "")
    };
    server.dispatch(exec("a", &["/no/such/program"], None));
    server.dispatch(exec("b", &["true"], Some("no-such-user")));
    server.dispatch(exec("c", &[], None));
    server.dispatch(exec("d", &["cat"], None));
    for (id, word) in [
        ("a", "/no/such/program"),
        ("b", "no-such-user"),
        ("c", "no program"),
    ] {
        let end = end_of(&server, id).await;
        assert!(
            matches!(&end, CommandState::Failed { error } if error.contains(word)),
            "{end:?}"
        );
    }
    end_of(&server, "d").await;
    assert_eq!(output(&server, "d", Stream::Stdout), "from stdin");
    let service = Action::Service {
        name: "no-such-service".into(),
        verb: protocol::ServiceVerb::Restart,
    };
    server.dispatch(Command {
        action: service,
        ..script("e", "")
    });
    let end = end_of(&server, "e").await;
    assert!(
        matches!(&end, CommandState::Failed { .. } | CommandState::Exited { .. }),
        "{end:?}"
    );
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn another_user_runs_what_it_is_given() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let mut command = script("cmd_1", "id -un; id -G; echo $HOME");
    if let Action::Script { user, .. } = &mut command.action {
        *user = Some("nobody".into());
    }
    server.dispatch(command);
    end_of(&server, "cmd_1").await;
    let text = output(&server, "cmd_1", Stream::Stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "nobody", "{text}");
    assert_eq!(lines[1].split(' ').count(), 1, "no groups of root's: {text}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_command_waits_for_the_server() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.record.acking.store(false, Ordering::SeqCst);
    let agent = start(&dir, &server).await;
    server.dispatch(script("cmd_1", "echo kept"));
    end_of(&server, "cmd_1").await;
    server.cut();
    eventually("the end again", || {
        (server
            .record
            .states("cmd_1")
            .iter()
            .filter(|state| state.is_end())
            .count()
            > 1)
        .then_some(())
    })
    .await;
    assert_eq!(output(&server, "cmd_1", Stream::Stdout), "kept\n");
    let hello = |message: &ToServer| match message {
        ToServer::Hello { running, .. } => Some(running.clone()),
        _ => None,
    };
    let last = server
        .record
        .messages
        .lock()
        .unwrap()
        .iter()
        .filter_map(hello)
        .next_back()
        .unwrap();
    assert_eq!(last, vec!["cmd_1".to_owned()]);
    server.record.acking.store(true, Ordering::SeqCst);
    server.cut();
    let commands = dir.path().join("state/commands");
    eventually("the outputs' removal", || {
        let left = std::fs::read_dir(&commands).ok()?.filter_map(Result::ok);
        (left.filter(|entry| entry.file_name() != "journal").count() == 0).then_some(())
    })
    .await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_in_the_middle_interrupts_or_repeats() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let witness = dir.path().join("witness");
    let text = format!("echo begun >> {}; sleep 600", witness.display());
    server.dispatch(script("opaque", &text));
    let once = dir.path().join("once");
    let text = format!("[ -e {0} ] && exit 0; echo x > {0}; sleep 600", once.display());
    server.dispatch(Command {
        idempotent: true,
        ..script("again", &text)
    });
    read_file(&witness).await;
    read_file(&once).await;
    agent.stop().await.unwrap();
    assert!(!server.record.states("opaque").iter().any(CommandState::is_end));
    let agent = start(&dir, &server).await;
    assert_eq!(end_of(&server, "opaque").await, CommandState::Interrupted);
    assert!(matches!(
        end_of(&server, "again").await,
        CommandState::Exited {
            exit_code: Some(0),
            ..
        }
    ));
    assert_eq!(std::fs::read_to_string(&witness).unwrap(), "begun\n");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_first_line_of_a_script_says_what_runs_it() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = start(&dir, &server).await;
    let text = "#!/bin/cat\n[[ this is no shell ]]\n";
    server.dispatch(script("own", text));
    let end = end_of(&server, "own").await;
    assert!(
        matches!(
            end,
            CommandState::Exited {
                exit_code: Some(0),
                ..
            }
        ),
        "{end:?}"
    );
    assert_eq!(output(&server, "own", Stream::Stdout), text);
    server.dispatch(script("none", "#!/no/such/interpreter -x\necho wrong\n"));
    let end = end_of(&server, "none").await;
    assert!(
        matches!(&end, CommandState::Failed { error } if error.contains("/no/such/interpreter")),
        "{end:?}"
    );
    agent.stop().await.unwrap();
}
