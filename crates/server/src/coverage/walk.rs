//! Walks over every address as somebody whose role holds for a part: nothing of others is shown, and nothing of theirs changes.

use std::time::Duration;

use futures_util::StreamExt;
use kernel::Role::{Administrator, Auditor, Manager, Operator, Viewer};

use super::table::{Call, Expect, calls};
use super::world::{MARK, World};

/// How long a stream is listened to.
const LISTEN: Duration = Duration::from_millis(300);

/// Status and text of an answer; of a stream, what comes in a while.
async fn ask(world: &World, token: &str, call: &Call) -> (u16, String) {
    let mut request = axum::http::Request::builder()
        .method(call.method.as_str())
        .uri(&call.path)
        .header("authorization", format!("Bearer {token}"));
    request = match &call.form {
        Some(_) => request.header("content-type", "application/x-www-form-urlencoded"),
        None => request.header("content-type", "application/json"),
    };
    let body = call.form.clone().unwrap_or_else(|| match &call.body {
        serde_json::Value::Null => String::new(),
        body => body.to_string(),
    });
    let request = request.body(axum::body::Body::from(body)).unwrap();
    let response = tower::ServiceExt::oneshot(world.wired.router.clone(), request)
        .await
        .unwrap();
    let status = response.status().as_u16();
    let mut stream = response.into_body().into_data_stream();
    let mut text = Vec::new();
    while let Ok(Some(Ok(part))) = tokio::time::timeout(LISTEN, stream.next()).await {
        text.extend_from_slice(&part);
        if text.len() > 4 << 20 {
            break;
        }
    }
    (status, String::from_utf8_lossy(&text).into_owned())
}

/// Every address has its calls: a new one without an entry fails here.
fn all_calls(world: &World) -> Vec<Call> {
    let mut all = Vec::new();
    let mut missing = Vec::new();
    for endpoint in &world.wired.endpoints {
        match calls(endpoint.method, endpoint.path, &world.ids) {
            Some(calls) => all.extend(calls),
            None => missing.push(format!("{} {}", endpoint.method, endpoint.path)),
        }
    }
    assert!(
        missing.is_empty(),
        "no entry in coverage/table.rs, which says what somebody with a part may see and change there:\n{}",
        missing.join("\n")
    );
    all
}

#[tokio::test]
async fn nothing_of_others_is_shown_or_changed() {
    let world = World::new().await;
    let all = all_calls(&world);
    let holders = [
        ("viewer", vec![(Viewer, true)]),
        ("operator", vec![(Operator, true)]),
        ("manager", vec![(Manager, true)]),
        ("auditor", vec![(Auditor, true)]),
        ("administrator", vec![(Administrator, true)]),
    ];
    let mut wrong = Vec::new();
    let mut tokens = Vec::new();
    for (name, roles) in &holders {
        tokens.push((*name, world.holder(name, roles).await));
    }
    let before = world.contents().await;
    for (name, token) in &tokens {
        for call in &all {
            let (status, text) = ask(&world, token, call).await;
            let told = format!("{name}: {} {} {}: {status}", call.method, call.path, call.body);
            if text.contains(MARK) && !call.echoes {
                let at = text.find(MARK).unwrap_or(0);
                let around: String = text[at.saturating_sub(80)..].chars().take(200).collect();
                wrong.push(format!("{told} shows what belongs to others: …{around}…"));
            }
            if call.expect == Expect::Refused && status < 300 {
                wrong.push(format!("{told} is let through"));
            }
            if status >= 500 && call.expect != Expect::Anything {
                wrong.push(format!("{told} {text}"));
            }
        }
    }
    let changes = difference(&before, &world.contents().await);
    assert!(
        wrong.is_empty() && changes.is_empty(),
        "{}\n{changes}",
        wrong.join("\n")
    );
}

/// Seeing everything is not acting on everything.
#[tokio::test]
async fn a_role_for_a_part_and_a_reader_of_all_change_nothing_of_others() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    let mut tokens = Vec::new();
    for role in [Operator, Manager, Administrator] {
        for reader in [Viewer, Auditor] {
            let name = format!("{} {}", role.as_str(), reader.as_str());
            tokens.push((
                name.clone(),
                world.holder(&name, &[(role, true), (reader, false)]).await,
            ));
        }
    }
    let before = world.contents().await;
    for (name, token) in &tokens {
        for call in all_calls(&world)
            .iter()
            .filter(|call| call.expect == Expect::Refused && call.method != "GET")
        {
            let (status, text) = ask(&world, token, call).await;
            if !(300..500).contains(&status) {
                wrong.push(format!(
                    "{name}: {} {} {}: {status} {text}",
                    call.method, call.path, call.body
                ));
            }
        }
    }
    let changes = difference(&before, &world.contents().await);
    assert!(
        wrong.is_empty() && changes.is_empty(),
        "{}\n{changes}",
        wrong.join("\n")
    );
}

/// The walk can fail: somebody who may see everything is shown the other owner's things by the same calls.
#[tokio::test]
async fn who_may_see_everything_is_shown_what_the_walk_looks_for() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for call in all_calls(&world).iter().filter(|call| call.shows) {
        let (status, text) = ask(&world, &world.admin, call).await;
        if !text.contains(MARK) {
            let start: String = text.chars().take(200).collect();
            silent.push(format!("{} {}: {status} {start}", call.method, call.path));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// Lines that are in one of the two alone.
fn difference(before: &str, after: &str) -> String {
    use std::collections::BTreeSet;
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (before.lines().collect(), after.lines().collect());
    let gone = before.difference(&after).map(|line| format!("gone: {line}"));
    let new = after.difference(&before).map(|line| format!("new: {line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}
