//! Tells the server how commands go: output as it comes, then states. Everything that is not acknowledged is told anew
//! on every connection.

use std::collections::HashMap;

use protocol::{CommandState, Stream, ToServer};
use tokio::sync::mpsc;

use super::{Commander, output};

const CHUNK: usize = 32 * 1024;

/// What this connection has been told of a command.
#[derive(Default)]
struct Told {
    out: u64,
    err: u64,
    state: Option<CommandState>,
}

pub(super) async fn run(commander: &Commander) {
    let mut links = commander.0.link.subscribe();
    loop {
        let link = links.borrow_and_update().clone();
        let Some(link) = link else {
            if links.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = tell_all(commander, &link) => {}
            changed = links.changed() => if changed.is_err() { return },
        }
        if link.is_closed() && links.borrow().as_ref().is_some_and(|now| now.same_channel(&link)) {
            // The wire has failed before the uplink has noticed.
            if links.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Returns when the connection fails.
async fn tell_all(commander: &Commander, link: &mpsc::Sender<ToServer>) {
    let mut told: HashMap<String, Told> = HashMap::new();
    loop {
        let news = commander.0.news.notified();
        let open: Vec<(String, i64, CommandState)> = {
            let journal = commander.journal();
            journal
                .open_entries()
                .map(|(id, entry)| (id.clone(), entry.at_ms, entry.state.clone()))
                .collect()
        };
        told.retain(|id, _| open.iter().any(|(known, ..)| known == id));
        for (id, at_ms, state) in open {
            let told = told.entry(id.clone()).or_default();
            if tell_one(commander, link, &id, (at_ms, state), told)
                .await
                .is_none()
            {
                return;
            }
        }
        tokio::select! {
            () = news => {}
            () = link.closed() => return,
        }
    }
}

async fn tell_one(
    commander: &Commander,
    link: &mpsc::Sender<ToServer>,
    id: &str,
    (at_ms, state): (i64, CommandState),
    told: &mut Told,
) -> Option<()> {
    // The state was read before the output: an end is told only after all the output that preceded it.
    for (stream, offset) in [(Stream::Stdout, &mut told.out), (Stream::Stderr, &mut told.err)] {
        loop {
            let data = output::read(&commander.0.folder, id, stream, *offset, CHUNK);
            if data.is_empty() {
                break;
            }
            let next = *offset + data.len() as u64;
            link.send(ToServer::Output {
                id: id.to_owned(),
                stream,
                offset: *offset,
                data,
            })
            .await
            .ok()?;
            *offset = next;
        }
    }
    if told.state.as_ref() != Some(&state) {
        link.send(ToServer::Command {
            id: id.to_owned(),
            at_ms,
            state: state.clone(),
        })
        .await
        .ok()?;
        told.state = Some(state);
    }
    Some(())
}
