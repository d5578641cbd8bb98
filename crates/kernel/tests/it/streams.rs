//! Event streams and the credentials they were opened with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use kernel::http::{Authenticate, assemble};
use kernel::{Actor, ActorKind, BoxFuture, Grant, Kernel, NewEvent, Problem, Role, Scope};
use testkit::Bed;
use tower::ServiceExt;

/// Whoever it holds is signed in.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Option<Actor>>>);

impl Authenticate for Held {
    fn authenticate<'a>(
        &'a self,
        _: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let actor = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(actor) })
    }

    fn is_concerned(&self, topic: &str) -> bool {
        topic.starts_with("access.")
    }
}

fn ann(role: Role) -> Actor {
    Actor {
        kind: ActorKind::Person,
        id: "per_1".into(),
        name: "Ann".into(),
        grants: vec![Grant {
            role,
            scope: Scope::default(),
        }],
        only: None,
    }
}

async fn append(kernel: &Kernel, topic: &'static str) {
    let mut tx = kernel.db.write().await.unwrap();
    tx.append(&Actor::system("test"), NewEvent::new(topic, "x", &()))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_the_rights_it_was_opened_with() {
    for change in [None, Some(ann(Role::Viewer))] {
        let bed = Bed::sqlite(&[]).await;
        let kernel = bed.kernel();
        let held = Held(Arc::new(Mutex::new(Some(ann(Role::Auditor)))));
        let app = assemble(kernel, &mut [], Arc::new(held.clone()), Default::default());
        let request = Request::get("/api/v1/events/stream?after=0")
            .body(Body::empty())
            .unwrap();
        let response = app.router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let mut body = response.into_body().into_data_stream();
        append(kernel, "note.written").await;
        let piece = futures_util::StreamExt::next(&mut body).await.unwrap().unwrap();
        assert!(piece.starts_with(b"id: 1"), "{piece:?}");

        *held.0.lock().unwrap() = change;
        append(kernel, "access.changed").await;
        let rest = async { while futures_util::StreamExt::next(&mut body).await.is_some() {} };
        // Sooner than the check that comes from time to time.
        tokio::time::timeout(Duration::from_secs(8), rest).await.unwrap();
        let metrics = kernel.metrics.render();
        assert!(metrics.contains("mainstay_http_streams_cut_total 1"), "{metrics}");
        drop(body);
        assert!(kernel.metrics.render().contains("mainstay_http_streams 0"));
    }
}
