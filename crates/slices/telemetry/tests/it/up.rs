//! The series `up` follows the agents, and rules on it fire with the change.

use std::time::Duration;

use fleet::AgentId;
use inventory::Observation;
use kernel::{Actor, NewEvent};
use serde_json::json;

use crate::support::House;

async fn join(house: &House, name: &str) -> AgentId {
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let seen = Observation {
        kind: "host".into(),
        key: name.into(),
        name: name.into(),
        source: "test".into(),
        ..Observation::default()
    };
    let item = inventory::observe(&mut tx, &Actor::system("test"), &seen)
        .await
        .unwrap();
    let agent = AgentId::new();
    let identity = serde_json::to_string(&protocol::Identity::default()).unwrap();
    let sql = "INSERT INTO agent (id, item, state, presence, version, address, identity, join_token, joined_at, presence_at, \
        heard_at, seq, seq_at_ms, certificate_expires_at) VALUES ($1, $2, 'active', 'new', '1', '', $3, '', 0, 0, 0, 0, 0, 0)";
    let insert = sqlx::query(sql)
        .bind(agent.as_str())
        .bind(item.as_str())
        .bind(identity);
    insert.execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    agent
}

/// What fleet does when an agent comes, goes or is taken out.
async fn turn(house: &House, agent: &AgentId, state: &str, presence: &str, topic: &'static str) {
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let update = sqlx::query("UPDATE agent SET state = $2, presence = $3 WHERE id = $1")
        .bind(agent.as_str())
        .bind(state)
        .bind(presence);
    update.execute(&mut *tx).await.unwrap();
    let event = NewEvent::new(topic, agent, &json!({}));
    tx.append(&Actor::system("fleet"), event).await.unwrap();
    tx.commit().await.unwrap();
}

/// Waits until `query` gives this value for web-1; `None`: nothing.
pub async fn wait_for(house: &House, query: &str, expected: Option<&str>) {
    let mut answer = serde_json::Value::Null;
    for _ in 0..200 {
        answer = house.get(&format!("/api/v1/query?query={query}")).await.1;
        let found = answer["data"]["result"][0]["value"][1].as_str();
        if found == expected && answer["status"] == "success" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{query} is not {expected:?} in ten seconds: {answer}");
}

#[tokio::test]
async fn up_follows_the_agent_and_a_rule_on_it_fires_at_once() {
    for house in House::both().await {
        let text =
            "groups:\n- name: g\n  interval: 1h\n  rules:\n  - alert: InstanceDown\n    expr: up == 0\n";
        let body = json!({ "name": "down", "text": text }).to_string();
        let (status, _) = house
            .call("POST", "/api/v1/rule-files", "application/json", &body)
            .await;
        assert_eq!(status, 200);
        let agent = join(&house, "web-1").await;
        house.run("telemetry.up");
        wait_for(&house, "up{job=%22mainstay-server%22}", Some("1")).await;
        let up = "up{instance=%22web-1%22,job=%22mainstay%22}";
        wait_for(&house, up, None).await;
        turn(&house, &agent, "active", "connected", "agent.connected").await;
        wait_for(&house, up, Some("1")).await;
        turn(&house, &agent, "active", "lost", "agent.lost").await;
        wait_for(&house, up, Some("0")).await;
        let told = "ALERTS{alertname=%22InstanceDown%22,instance=%22web-1%22,alertstate=%22firing%22}";
        wait_for(&house, told, Some("1")).await;
        let fired = async |topic: &str| {
            let topics = house.topics().await;
            topics.iter().filter(|one| *one == topic).count()
        };
        wait_until(async || fired("alert.fired").await == 1).await;
        turn(&house, &agent, "active", "connected", "agent.returned").await;
        wait_for(&house, told, None).await;
        wait_until(async || fired("alert.resolved").await == 1).await;
        turn(&house, &agent, "revoked", "connected", "agent.revoked").await;
        wait_for(&house, up, None).await;
        assert_eq!(fired("alert.fired").await, 1);
    }
}

async fn wait_until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not so in ten seconds");
}
