//! A host that makes up things fills nothing.

use inventory::store;

use crate::kit::{beds, facts, observe, service};

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
