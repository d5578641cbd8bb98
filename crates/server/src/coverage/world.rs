//! An installation with two owners, for the walks: everything of the other one carries [`MARK`] in its name.

use std::collections::BTreeMap;

use kernel::{Actor, Role};
use serde_json::{Value, json};
use testkit::Bed;

use super::{call, wired};
use crate::wire::Wired;

/// Stands in whatever belongs to the other owner, and nowhere else.
pub const MARK: &str = "zqforeign";

/// A time so many days ahead: planned, and not on.
pub fn later(days: i64) -> String {
    let now = kernel::Clock::System.now();
    now.checked_add(jiff::SignedDuration::from_hours(24 * days))
        .unwrap()
        .to_string()
}

pub struct World {
    pub bed: Bed,
    pub wired: Wired,
    /// A token that may do everything.
    pub admin: String,
    /// Ids of the other owner's things, by the word that the table uses for them.
    pub ids: BTreeMap<&'static str, String>,
}

impl World {
    pub async fn new() -> World {
        let bed = Bed::sqlite(crate::slices::SCHEMA).await;
        let wired = wired(&bed).await;
        wired.handles.telemetry.start().await.unwrap();
        let admin = wired.handles.access.bootstrap_token().await.unwrap();
        let mut world = World {
            bed,
            wired,
            admin,
            ids: BTreeMap::new(),
        };
        world.items().await;
        world.agent_and_command().await;
        world.signals().await;
        world.calendar().await;
        world.work().await;
        world.messages().await;
        world
    }

    /// A token of an account with these roles; `grp=x` where the flag says so.
    pub async fn holder(&self, name: &str, roles: &[(Role, bool)]) -> String {
        let account = self
            .post("/api/v1/service-accounts", json!({ "name": name }))
            .await;
        let id = account["id"].as_str().unwrap();
        for (role, is_scoped) in roles {
            let scope = match is_scoped {
                true => json!({ "tags": { "grp": "x" } }),
                false => json!({}),
            };
            let grant = json!({ "role": role.as_str(), "scope": scope });
            self.post(&format!("/api/v1/service-accounts/{id}/grants"), grant)
                .await;
        }
        let token = self
            .post("/api/v1/tokens", json!({ "name": name, "owner": id }))
            .await;
        token["token"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = call(&self.wired.router, "POST", path, &self.admin, &body.to_string()).await;
        assert!(status < 300, "POST {path} {body}: {status} {answer}");
        answer
    }

    async fn make(&mut self, word: &'static str, path: &str, body: Value) {
        let made = self.post(path, body).await;
        let id = made["id"].as_str().unwrap_or_else(|| panic!("{path}: {made}"));
        self.ids.insert(word, id.to_owned());
    }

    async fn items(&mut self) {
        let host = |name: &str, grp: &str| json!({ "kind": "host", "name": name, "tags": { "grp": grp } });
        self.make("own", "/api/v1/items", host("own-1", "x")).await;
        self.make("host", "/api/v1/items", host(&format!("{MARK}-1"), "y"))
            .await;
        self.make("retired", "/api/v1/items", host(&format!("{MARK}-2"), "y"))
            .await;
        let on_host = json!({ "kind": "service", "name": format!("{MARK}-db"), "parent": self.ids["host"], "tags": { "grp": "y" } });
        self.make("service", "/api/v1/items", on_host).await;
        let parentless = json!({ "kind": "application", "name": format!("{MARK}-app") });
        self.make("parentless", "/api/v1/items", parentless).await;
        let moved = json!({ "kind": "service", "name": format!("{MARK}-moved"), "parent": self.ids["own"], "tags": { "grp": "y" } });
        self.make("moved", "/api/v1/items", moved).await;
        let relation = json!({ "kind": "depends_on", "to": self.ids["parentless"] });
        self.post(
            &format!("/api/v1/items/{}/relations", self.ids["service"]),
            relation,
        )
        .await;
        let retire = format!("/api/v1/items/{}", self.ids["retired"]);
        let (status, answer) = call(&self.wired.router, "DELETE", &retire, &self.admin, "").await;
        assert!(status < 300, "{answer}");
        let mut tx = self.bed.kernel().db.write().await.unwrap();
        sqlx::query("UPDATE item SET parent = $1 WHERE id = $2")
            .bind(self.ids["host"].clone())
            .bind(self.ids["moved"].clone())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn agent_and_command(&mut self) {
        let identity = serde_json::to_string(&testkit::agent::identity(7)).unwrap();
        let mut tx = self.bed.kernel().db.write().await.unwrap();
        sqlx::query(
            "INSERT INTO agent (id, item, state, presence, version, address, identity, join_token, joined_at, presence_at, \
             heard_at, seq, seq_at_ms, certificate_expires_at) \
             VALUES ('agt_019300000000700080000000000000aa', $1, 'active', 'connected', '0', $2, $3, 'x', 0, 0, 0, 0, 0, 0)",
        )
        .bind(self.ids["host"].clone())
        .bind(format!("{MARK}:1"))
        .bind(identity)
        .execute(&mut *tx)
        .await
        .unwrap();
        self.ids
            .insert("agent", "agt_019300000000700080000000000000aa".into());
        let action = protocol::Action::Exec {
            argv: vec![MARK.into()],
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            stdin: None,
        };
        let target = fleet::Target::Item(self.ids["host"].parse().unwrap());
        let order = fleet::Order::new(target, action, "test");
        let command = self
            .wired
            .handles
            .fleet
            .dispatch(&mut tx, &Actor::system("test"), &order)
            .await
            .unwrap();
        self.ids.insert("command", command.to_string());
        tx.commit().await.unwrap();
        let token = json!({ "note": MARK, "tags": { "grp": "y" } });
        self.make("join_token", "/api/v1/join-tokens", token).await;
        let mut tx = self.bed.kernel().db.write().await.unwrap();
        sqlx::query(
            "INSERT INTO join_request (id, token, item, claim, reason, state, hostname, address, version, attempts, created_at, seen_at) \
             VALUES ('jrq_019300000000700080000000000000ab', $3, $1, 'c', 'live', 'pending', $2, 'a', '0', 1, 0, 0)",
        )
        .bind(self.ids["host"].clone())
        .bind(MARK)
        .bind(self.ids["join_token"].clone())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        self.ids
            .insert("join_request", "jrq_019300000000700080000000000000ab".into());
    }

    async fn signals(&mut self) {
        let kernel = self.bed.kernel();
        let host = format!("{MARK}-1");
        let labels = [("instance", host.as_str()), ("name", MARK)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let signal = alerting::Signal {
            source: "rule:test".into(),
            name: "TestAlert".into(),
            labels: labels.clone().into(),
            annotations: [("summary".to_owned(), MARK.to_owned())].into(),
            severity: alerting::Severity::Critical,
            active: true,
            value: Some(1.0),
            at: kernel.clock.now(),
            for_ms: 0,
            keep_firing_for_ms: 0,
        };
        let mut tx = kernel.db.write().await.unwrap();
        alerting::observe(&mut tx, &[signal]).await.unwrap();
        tx.commit().await.unwrap();
        let (_, alerts) = call(&self.wired.router, "GET", "/api/v1/alerts", &self.admin, "").await;
        self.ids
            .insert("alert", alerts["items"][0]["id"].as_str().unwrap().to_owned());
        let now = kernel.clock.now_ms();
        let mut batch = tsdb::Batch::with_capacity(2);
        for (instance, kind) in [(host.as_str(), MARK), ("own-1", "own")] {
            let labels =
                tsdb::Labels::from_pairs([("__name__", "load"), ("instance", instance), ("kind", kind)]);
            batch.push(&labels, now - 1000, 1.0);
            let line = logs::Record {
                at_ms: now - 1000,
                labels: logs::Labels::new([("host", instance), ("program", kind)]),
                severity: Some(3),
                text: format!("a line of {kind}"),
            };
            self.wired.handles.telemetry.logs().append(&[line]).unwrap();
        }
        self.wired.handles.telemetry.tsdb().append(&batch).unwrap();
    }

    async fn calendar(&mut self) {
        let (start, end) = (later(30), later(60));
        let freeze = json!({ "title": MARK, "tags": { "grp": "y" }, "starts_at": start, "ends_at": end });
        self.make("freeze", "/api/v1/freezes", freeze).await;
        let window = json!({ "title": MARK, "tags": { "grp": "y" }, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "start_minute": 0, "end_minute": 1440, "time_zone": "UTC" });
        self.make("window", "/api/v1/change-windows", window).await;
        let matchers = json!([{ "name": "instance", "op": "=", "value": format!("{MARK}-1") }]);
        let silence = json!({ "comment": MARK, "matchers": matchers, "starts_at": start, "ends_at": end });
        self.make("silence", "/api/v1/silences", silence).await;
        let maintenance =
            json!({ "title": MARK, "items": [self.ids["host"]], "starts_at": start, "ends_at": end });
        self.make("maintenance", "/api/v1/maintenance", maintenance).await;
    }

    async fn work(&mut self) {
        let incident = json!({ "title": MARK, "severity": "sev2", "items": [self.ids["host"]] });
        self.make("incident", "/api/v1/incidents", incident).await;
        let text = "name: Act\nrisk: high\ntargets: kind=host\nsteps:\n  - name: A\n    command: [act]\n";
        self.make("runbook", "/api/v1/runbooks", json!({ "text": text }))
            .await;
        let untargeted = "name: Tell\nrisk: low\nsteps:\n  - name: A\n    notify: { title: hello }\n";
        self.make("untargeted", "/api/v1/runbooks", json!({ "text": untargeted }))
            .await;
        let runs = format!("/api/v1/runbooks/{}/runs", self.ids["runbook"]);
        let run = self
            .post(&runs, json!({ "targets": format!("name={MARK}-1") }))
            .await;
        self.ids.insert("run", run["id"].as_str().unwrap().to_owned());
        self.ids
            .insert("change", run["change_id"].as_str().unwrap().to_owned());
        let rules = "groups:\n  - name: g\n    rules:\n      - alert: Never\n        expr: load > 1000\n";
        self.make(
            "rule_file",
            "/api/v1/rule-files",
            json!({ "name": "own", "text": rules }),
        )
        .await;
    }

    async fn messages(&mut self) {
        let config = json!({ "type": "webhook", "url": format!("http://127.0.0.1:9/{MARK}") });
        self.make(
            "channel",
            "/api/v1/channels",
            json!({ "name": MARK, "config": config }),
        )
        .await;
        let page = notify::Page {
            dedup_key: "test".into(),
            severity: notify::Severity::Critical,
            title: MARK.into(),
            url_path: Some(format!("/incidents/{}", self.ids["incident"])),
            ..notify::Page::default()
        };
        let mut tx = self.bed.kernel().db.write().await.unwrap();
        notify::page(&mut tx, &Actor::system("test"), &page)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let (_, messages) = call(&self.wired.router, "GET", "/api/v1/messages", &self.admin, "").await;
        self.ids
            .insert("message", messages["items"][0]["id"].as_str().unwrap().to_owned());
        let person = json!({ "name": "Somebody", "login": "somebody", "password": "correct horse battery" });
        self.make("person", "/api/v1/people", person).await;
        self.make("team", "/api/v1/teams", json!({ "name": "Some team" }))
            .await;
        self.make(
            "account",
            "/api/v1/service-accounts",
            json!({ "name": "some account" }),
        )
        .await;
    }

    /// Everything in the database but what a mere request may touch, as one text.
    pub async fn contents(&self) -> String {
        use sqlx::Row;
        const TOUCHED: [&str; 6] = [
            "api_token",
            "session",
            "sign_in_throttle",
            "consumer_cursor",
            "schema_migration",
            "sqlite_sequence",
        ];
        let mut reader = self.bed.kernel().db.read().await.unwrap();
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let tables = sqlx::query(sql).fetch_all(&mut *reader).await.unwrap();
        let mut all = String::new();
        for row in tables {
            let table: String = row.get(0);
            if TOUCHED.contains(&table.as_str()) || table.starts_with("sqlite_") {
                continue;
            }
            let sql = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
            let columns = sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut *reader)
                .await
                .unwrap();
            let columns: Vec<String> = columns
                .iter()
                .map(|column| column.get::<String, _>(0))
                .map(|name| format!("COALESCE(CASE typeof(\"{name}\") WHEN 'blob' THEN hex(\"{name}\") ELSE \"{name}\" END, '-')"))
                .collect();
            let sql = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || '|' || "));
            for row in sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut *reader)
                .await
                .unwrap()
            {
                all.push_str(&format!("{table}: {}\n", row.get::<String, _>(0)));
            }
        }
        all
    }
}
