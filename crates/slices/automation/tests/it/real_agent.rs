//! The real agent carries out real steps on this machine.

use std::path::Path;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::tasks;
use crate::kit::{House, until};

/// The agent of a made-up host, until the drop of the guard.
async fn agent(house: &House) -> tokio_util::sync::DropGuard {
    let token = house.token(&[], None).await;
    let folder = house
        .dir
        .path()
        .join(format!("agent-{}", house.agents_address().port()));
    let stop = CancellationToken::new();
    let host = testkit::TestHost::new(house.dir.path().join("host"), "0123456789abcdef0123456789abcdef");
    let options = agent::Options {
        token: Some(token),
        ..agent::Options::new(&folder).watching(host.root())
    };
    let ended = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "the agent is outside of the server")]
    tokio::spawn(async move { agent::run(options, ended).await.unwrap() });
    house.event("agent.connected", 1).await;
    stop.drop_guard()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn is_alive(pid: &str) -> bool {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")));
    // A zombie has ended; its parent has not looked yet.
    !stat.is_empty()
        && !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_the_whole_process_group() {
    for house in House::both().await {
        let _agent = agent(&house).await;
        let pids = house.dir.path().join("pids");
        let script = format!(
            "sleep 300 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
            pids.display()
        );
        let text = format!(
            "name: S\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    script: {}\n",
            json!(script)
        );
        let run = house.run(&house.runbook(&text).await, json!({})).await;
        let written = until("the script", async || {
            Some(read(&pids)).filter(|t| t.ends_with('\n'))
        })
        .await;
        let all: Vec<&str> = written.split_whitespace().collect();
        assert!(all.len() == 2 && all.iter().all(|pid| is_alive(pid)), "{all:?}");
        house.steer(&run, "cancel").await.ok(200);
        let done = house.until(&run, "cancelled").await;
        assert_eq!(done["tasks"][0]["state"], "cancelled");
        until("the end of both", async || {
            (!all.iter().any(|pid| is_alive(pid))).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_goes_on_while_the_server_is_killed_and_its_output_is_kept() {
    for house in House::both().await {
        let _agent = agent(&house).await;
        let (log, gate) = (house.dir.path().join("log"), house.dir.path().join("gate"));
        let script = format!(
            "echo begin >> {0}; echo one; until [ -e {1} ]; do sleep 0.02; done; echo $INPUT_WORD >> {0}; echo two",
            log.display(),
            gate.display()
        );
        let text = format!(
            "name: S\nrisk: low\ninputs: {{ word: {{}} }}\ntargets: kind=host\nsteps:\n  - name: A\n    script: {}\n  \
             - name: B\n    command: [sh, -c, 'echo \"$0\" >> {}', \"{{{{ target.name }}}}\"]\n",
            json!(script),
            log.display()
        );
        let run = house
            .run(
                &house.runbook(&text).await,
                json!({ "inputs": { "word": "$(id) \"x\"" } }),
            )
            .await;
        until("the script", async || read(&log).contains("begin").then_some(())).await;
        house.kill().await;
        std::fs::write(&gate, "").unwrap();
        until("its end", async || {
            (read(&log).lines().count() == 2).then_some(())
        })
        .await;
        house.start().await;
        let done = house.until(&run, "succeeded").await;
        let name = done["targets"][0]["name"].as_str().unwrap();
        assert_eq!(read(&log), format!("begin\n$(id) \"x\"\n{name}\n"));
        assert_eq!(tasks(&done), [format!("0 {name} ok"), format!("1 {name} ok")]);
        let command = done["tasks"][0]["command_id"].as_str().unwrap();
        let path = format!("/api/v1/commands/{command}/output");
        let output = house.send("GET", &path, &serde_json::Value::Null, &[]).await;
        let said: String = output
            .text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|data| data["text"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(said, "one\ntwo\n");
    }
}
