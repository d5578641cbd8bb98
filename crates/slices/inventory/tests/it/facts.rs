//! Facts of agents.

use inventory::{Observation, RelationKind, State};
use serde_json::json;

use crate::kit::{
    agent, beds, events, facts, identity, item, listens, named, observe, package, resolve, service, talks,
    topics,
};

#[tokio::test]
async fn first_facts_are_told_once_and_the_same_facts_not_at_all() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let host = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        assert_eq!(topics(kernel).await, ["item.created", "host.discovered"]);
        let told = events(kernel).await.remove(1);
        assert_eq!(
            told.data["items"],
            json!({ "interface": 1, "package_set": 1, "service": 1 })
        );
        observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        assert_eq!(topics(kernel).await.len(), 2);
        assert_eq!(
            item(kernel, &host).await.value("memory_bytes"),
            Some(&json!(1 << 30))
        );
    }
}

#[tokio::test]
async fn a_service_that_changes_before_the_first_facts_does_not_hide_the_discovery() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut tx = kernel.db.write().await.unwrap();
        let source = "agent:1";
        let host = inventory::observe_host(&mut tx, &agent(), source, "web-1", &identity(1), [].into())
            .await
            .unwrap();
        let seen = Observation {
            kind: "service".into(),
            key: "ssh.service".into(),
            parent: Some(host),
            name: "ssh.service".into(),
            source: source.into(),
            ..Observation::default()
        };
        inventory::observe(&mut tx, &agent(), &seen).await.unwrap();
        tx.commit().await.unwrap();
        observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let told = topics(kernel).await;
        let discovered = told.iter().filter(|topic| *topic == "host.discovered").count();
        assert_eq!(discovered, 1, "{told:?}");
    }
}

#[tokio::test]
async fn changes_are_told_one_by_one() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let host = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let mut next = facts("web-1", "10.0.0.1");
        next.services = vec![service("nginx.service")];
        next.kernel = "6.1".into();
        next.packages = vec![
            package("openssh", "1.1"),
            package("nginx", "2"),
            package("vim", "9"),
        ];
        observe(kernel, 1, &next).await;
        let told: Vec<_> = events(kernel).await.split_off(2);
        let topics: Vec<_> = told.iter().map(|e| e.topic.as_str()).collect();
        assert_eq!(
            topics,
            ["item.changed", "item.created", "item.retired", "package.changed"]
        );
        assert_eq!(told[0].data["attribute"], "kernel");
        assert_eq!(told[3].data["updated"], json!(["openssh 1.0 → 1.1"]));
        assert_eq!(told[3].data["added"], json!(["nginx 2"]));
        assert_eq!(
            named(kernel, "service", "ssh.service").await.state,
            State::Retired
        );
        let mut reader = kernel.db.read().await.unwrap();
        let set = named(kernel, "package_set", "packages").await;
        assert_eq!(set.parent, Some(host));
        let list = inventory::store::packages(&mut reader, &set.id).await.unwrap();
        assert_eq!(list.len(), 3);
    }
}

#[tokio::test]
async fn sockets_become_relations() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut web = facts("web-1", "10.0.0.1");
        web.services = vec![service("app"), service("nginx")];
        web.listening = vec![listens("app", 8080), listens("nginx", 443)];
        web.peers = vec![
            talks("app", "10.0.0.2", 5432),
            talks("nginx", "127.0.0.1", 8080),
            talks("app", "192.0.2.9", 443),
        ];
        let host = observe(kernel, 1, &web).await;
        let app = named(kernel, "service", "app").await;
        let relations = async |id: &inventory::ItemId| {
            let mut reader = kernel.db.read().await.unwrap();
            let list = inventory::store::relations_of(&mut reader, id).await.unwrap();
            let mut found = Vec::new();
            for r in list.into_iter().filter(|r| r.from == *id) {
                found.push((r.kind, item(kernel, &r.to).await.name));
            }
            found
        };
        assert_eq!(
            relations(&app.id).await,
            [
                (RelationKind::ConnectsTo, "10.0.0.2:5432".to_owned()),
                (RelationKind::ConnectsTo, "192.0.2.9:443".to_owned()),
                (RelationKind::RunsOn, "web-1".to_owned())
            ]
        );
        let nginx = named(kernel, "service", "nginx").await;
        assert!(
            relations(&nginx.id)
                .await
                .contains(&(RelationKind::DependsOn, "app".into()))
        );
        // The database's host joins: the endpoint turns out to be its service.
        let mut db = facts("db-1", "10.0.0.2");
        db.services = vec![service("postgresql")];
        db.listening = vec![listens("postgresql", 5432)];
        let db_host = observe(kernel, 2, &db).await;
        assert_eq!(
            relations(&app.id).await,
            [
                (RelationKind::ConnectsTo, "192.0.2.9:443".to_owned()),
                (RelationKind::DependsOn, "postgresql".to_owned()),
                (RelationKind::RunsOn, "web-1".to_owned())
            ]
        );
        assert_eq!(
            named(kernel, "endpoint", "10.0.0.2:5432").await.state,
            State::Retired
        );
        let mut reader = kernel.db.read().await.unwrap();
        let hit = inventory::walk::impact(&mut reader, &db_host).await.unwrap();
        let names: Vec<_> = hit.iter().map(|a| (a.item.name.as_str(), a.distance)).collect();
        assert!(names.contains(&("nginx", 3)), "{names:?}");
        assert!(!names.iter().any(|(name, _)| *name == "web-1"));
        drop(reader);
        // The same facts again are silent.
        let count = topics(kernel).await.len();
        assert_eq!(observe(kernel, 1, &web).await, host);
        observe(kernel, 2, &db).await;
        assert_eq!(topics(kernel).await.len(), count);
    }
}

#[tokio::test]
async fn labels_lead_to_items() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut web = facts("web-1", "10.0.0.1");
        web.disks = vec![protocol::DiskFact {
            device: "/dev/sda1".into(),
            mount_point: "/var".into(),
            ..Default::default()
        }];
        let host = observe(kernel, 1, &web).await;
        let ssh = named(kernel, "service", "ssh.service").await.id;
        let disk = named(kernel, "disk", "/var").await.id;
        let eth0 = named(kernel, "interface", "eth0").await.id;
        for (labels, want) in [
            (vec![("instance", "web-1")], &host),
            (vec![("instance", "web-1:9100")], &host),
            (vec![("instance", "10.0.0.1:9100")], &host),
            (vec![("instance", "web-1"), ("name", "ssh")], &ssh),
            (vec![("instance", "web-1"), ("name", "ssh.service")], &ssh),
            (vec![("instance", "web-1"), ("mountpoint", "/var")], &disk),
            (vec![("instance", "web-1"), ("device", "sda1")], &disk),
            (vec![("instance", "web-1"), ("device", "eth0")], &eth0),
            (vec![("instance", "web-1"), ("name", "unknown")], &host),
        ] {
            assert_eq!(resolve(kernel, &labels).await.as_ref(), Some(want), "{labels:?}");
        }
        assert_eq!(resolve(kernel, &[("instance", "nobody")]).await, None);
    }
}

#[tokio::test]
async fn facts_from_outside_cannot_break_the_store() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut odd = facts("we\0b", "not an address");
        odd.services = vec![
            service(""),
            service("a\0b"),
            service(&"x".repeat(5000)),
            service("same"),
            service("same"),
        ];
        odd.packages = vec![package("p\0", "1"), package("p\0", "1")];
        observe(kernel, 1, &odd).await;
        assert_eq!(named(kernel, "host", "web").await.name, "web");
        observe(kernel, 1, &facts("", "10.0.0.1")).await;
        assert_eq!(named(kernel, "host", "unnamed").await.name, "unnamed");
    }
}

#[tokio::test]
async fn what_was_retired_long_ago_is_forgotten_with_all_that_was_on_it() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let gone = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let here = observe(kernel, 2, &facts("web-2", "10.0.0.2")).await;
        let mut tx = kernel.db.write().await.unwrap();
        inventory::retire(&mut tx, &agent(), &gone, "test").await.unwrap();
        tx.commit().await.unwrap();
        let bounds = inventory::bounds(&inventory::Settings::default());
        kernel::retention::trim(kernel, &bounds).await.unwrap();
        item(kernel, &gone).await;
        let mut tx = kernel.db.write().await.unwrap();
        // 401 days in microseconds.
        sqlx::query("UPDATE item SET retired_at = retired_at - 34646400000000 WHERE retired_at IS NOT NULL")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        kernel::retention::trim(kernel, &bounds).await.unwrap();
        let mut reader = kernel.db.read().await.unwrap();
        assert!(
            inventory::store::item(&mut reader, &gone)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            inventory::store::children(&mut reader, &gone)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            inventory::store::keys_of(&mut reader, &gone)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            inventory::store::children(&mut reader, &here)
                .await
                .unwrap()
                .len(),
            3
        );
    }
}

#[tokio::test]
async fn a_database_server_and_a_container_stop_before_they_are_gone() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut running = facts("db-1", "10.0.0.1");
        running.databases = vec![protocol::DatabaseFact {
            name: "postgresql:5432".into(),
            engine: "postgresql".into(),
            version: Some("15".into()),
            port: 5432,
            service: Some("postgresql".into()),
            ..protocol::DatabaseFact::default()
        }];
        running.containers = vec![protocol::ContainerFact {
            name: "shop".into(),
            runtime: "docker".into(),
            image: Some("shop:2".into()),
            ..protocol::ContainerFact::default()
        }];
        let host = observe(kernel, 1, &running).await;
        let database = named(kernel, "database", "postgresql:5432").await;
        assert_eq!(
            (database.text("engine"), database.parent.as_ref()),
            (Some("postgresql"), Some(&host))
        );
        assert_eq!(database.value("running"), Some(&json!(true)));
        assert_eq!(
            named(kernel, "container", "shop").await.text("image"),
            Some("shop:2")
        );
        let mut reader = kernel.db.read().await.unwrap();
        let relations = inventory::store::relations_of(&mut reader, &database.id)
            .await
            .unwrap();
        assert!(
            relations
                .iter()
                .any(|r| r.kind == RelationKind::RunsOn && r.to == host)
        );
        drop(reader);

        let before = events(kernel).await.len();
        let stopped = facts("db-1", "10.0.0.1");
        observe(kernel, 1, &stopped).await;
        observe(kernel, 1, &stopped).await;
        let told: Vec<_> = events(kernel).await.split_off(before);
        assert_eq!(told.len(), 2, "each said once: {told:?}");
        assert!(
            told.iter()
                .all(|e| e.topic == "item.changed" && e.data["attribute"] == "running"),
            "{told:?}"
        );
        let database = item(kernel, &database.id).await;
        assert_eq!(
            (database.state, database.value("running")),
            (State::Active, Some(&json!(false)))
        );

        observe(kernel, 1, &running).await;
        assert_eq!(
            item(kernel, &database.id).await.value("running"),
            Some(&json!(true))
        );
        observe(kernel, 1, &stopped).await;
        let mut tx = kernel.db.write().await.unwrap();
        // Eight days in microseconds.
        sqlx::query("UPDATE item SET observed_at = observed_at - 691200000000 WHERE kind = 'database'")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        observe(kernel, 1, &stopped).await;
        assert_eq!(item(kernel, &database.id).await.state, State::Retired);
        assert_eq!(named(kernel, "container", "shop").await.state, State::Active);
    }
}
