//! A host that makes up things fills nothing, and is nobody else.

use inventory::store;

use kernel::Actor;

use crate::kit::{beds, facts, identity, observe, service, topics};

#[tokio::test]
async fn a_host_has_so_many_things_and_no_more() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut many = facts("web-1", "10.0.0.1");
        let mut host = None;
        for round in 0..4 {
            many.services = (0..3_000)
                .map(|n| service(&format!("made-up-{round}-{n}")))
                .collect();
            assert_eq!(inventory::over_limit(&many), 1_000);
            host = Some(observe(kernel, 1, &many).await);
        }
        let mut reader = kernel.db.read().await.unwrap();
        let children = store::children(&mut reader, &host.unwrap()).await.unwrap();
        let services = children.iter().filter(|item| item.kind == "service");
        let active = services.clone().filter(|item| item.is_active()).count();
        assert_eq!(active, inventory::MOST_OF_A_KIND);
        assert!(services.count() <= 3 * inventory::MOST_OF_A_KIND, "old names go");
    }
}

#[tokio::test]
async fn a_host_that_claims_the_keys_of_another_is_not_found_by_them() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let liar = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let victim = observe(kernel, 2, &facts("web-2", "10.0.0.2")).await;
        let mut tx = kernel.db.write().await.unwrap();
        let mut claimed = identity(2);
        claimed.macs = identity(1).macs;
        inventory::observe_facts(
            &mut tx,
            &Actor::system("test"),
            "agent:1",
            &facts("web-1", "10.0.0.1"),
            &claimed,
            Some(liar.clone()),
        )
        .await
        .unwrap();
        // The victim is set up anew and shows its keys: it is itself.
        let found = inventory::find_host(&mut tx, "agent:3", "web-2", &identity(2))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.id, victim);
        let keys = store::keys_of(&mut tx, &liar).await.unwrap();
        assert!(
            !keys
                .iter()
                .any(|key| key.value == "machine2" || key.value == "dmi2"),
            "{keys:?}"
        );
        tx.commit().await.unwrap();
        assert!(topics(kernel).await.contains(&"item.conflict".to_owned()));
    }
}
