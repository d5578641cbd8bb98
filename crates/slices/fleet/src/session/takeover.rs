//! A host that joins and is known already: taken over, given a host of its own, or made to wait for an approval.
//!
//! Invariant: a machine id, a MAC or a host key is public. Nobody gets a live host, or one outside of the token's scope, by
//! showing them: that needs the key of the agent before, or a person who covers the host.

use std::net::SocketAddr;
use std::time::Duration;

use inventory::Item;
use kernel::{Actor, DbError, NewEvent, Scope, Tx};

use super::join::Request;
use crate::decide::{Claim, Takeover, WaitReason, takeover};
use crate::events::JoinRequestEvent;
use crate::model::{Agent, AgentState, JoinRequest, JoinToken, Presence, RequestId, RequestState};
use crate::{Fleet, store};

/// An approval is good for one join within this time.
const APPROVAL_S: i64 = 24 * 3600;
/// So long an agent that has joined and not yet connected keeps its place.
const SETTLING: Duration = Duration::from_secs(600);
/// Joins that may wait for each token.
const MOST_PENDING: i64 = 100;

/// What becomes of a join whose host is known.
pub enum Outcome {
    Adopt,
    Separate,
    /// Not now: what to tell the agent.
    Wait(String),
}

/// Who joins, with which token, and the agent whose key the connection has proved.
pub struct Joining<'a> {
    pub request: &'a Request,
    pub token: &'a JoinToken,
    pub proven: Option<&'a Agent>,
    pub from: SocketAddr,
}

/// Decides about the takeover of `host`. What it stores is to be committed for every outcome.
pub async fn judge(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    host: &Item,
    joining: &Joining<'_>,
) -> Result<Outcome, DbError> {
    let Joining { request, token, .. } = *joining;
    let before = store::agent_of_item(tx, &host.id).await?;
    let is_same_machine = before
        .as_ref()
        .is_none_or(|agent| is_same_machine(&agent.identity, &request.identity));
    let claim_text = claim_of(joining);
    let asked = store::request_of_claim(tx, &token.id, &host.id, &claim_text).await?;
    let now = tx.now();
    let is_approved = asked.as_ref().is_some_and(|asked| {
        let age = asked
            .decided_at
            .map_or(i64::MAX, |at| now.as_second() - at.as_second());
        asked.state == RequestState::Approved && age < APPROVAL_S
    });
    let scope = Scope {
        team: token.team.clone(),
        tags: token.tags.clone(),
    };
    let has_key = joining.proven.is_some_and(|agent| agent.item == host.id);
    let is_there = |agent: &Agent| match has_key {
        // Its own connection may have ended a moment ago, for this very join.
        true => fleet.hub().session(&agent.id).is_some(),
        false => is_live(fleet, agent, &request.identity),
    };
    let claim = Claim {
        is_approved,
        has_key,
        is_live: before.as_ref().is_some_and(is_there),
        is_same_machine,
        is_covered: scope.covers(host.team.as_deref(), &host.tags),
    };
    let is_denied = asked
        .as_ref()
        .is_some_and(|asked| asked.state == RequestState::Denied);
    let reason = match takeover(&claim) {
        // Denied stays denied when the host's agent is gone, too; only that agent's key says more.
        Takeover::Adopt if is_denied && !claim.has_key => WaitReason::Live,
        Takeover::Adopt => {
            // Approved, or not needed any more: the host's agent is gone by now.
            if let Some(mut asked) = asked {
                asked.state = RequestState::Used;
                store::save_request(tx, &asked).await?;
            }
            return Ok(Outcome::Adopt);
        }
        Takeover::Separate => return Ok(Outcome::Separate),
        Takeover::Ask(reason) => reason,
    };
    if let Some(asked) = asked.as_ref().filter(|asked| asked.state == RequestState::Denied) {
        return Ok(Outcome::Wait(format!(
            "the request {} to take over the host {} was denied",
            asked.id, host.name
        )));
    }
    if asked.is_none() && store::count_pending_requests(tx, &token.id).await? >= MOST_PENDING {
        return Ok(Outcome::Wait(format!(
            "{MOST_PENDING} joins with this token wait for an approval already; decide on them under Admin, Agents"
        )));
    }
    let id = ask(tx, actor, host, joining, asked, reason.as_str()).await?;
    Ok(Outcome::Wait(format!(
        "{}; the request {id} {} under Admin, Agents. Once it is approved, join again with the same token",
        reason.text(&host.name),
        protocol::AWAITING_APPROVAL,
    )))
}

/// Stores the request, or that it was repeated.
async fn ask(
    tx: &mut Tx,
    actor: &Actor,
    host: &Item,
    joining: &Joining<'_>,
    asked: Option<JoinRequest>,
    reason: &str,
) -> Result<RequestId, DbError> {
    let now = tx.now();
    let address = joining.from.ip().to_string();
    if let Some(mut asked) = asked {
        asked.state = RequestState::Pending;
        asked.attempts += 1;
        asked.seen_at = now;
        asked.address = address;
        asked.reason = reason.to_owned();
        store::save_request(tx, &asked).await?;
        return Ok(asked.id);
    }
    let clean =
        |text: &str, most: usize| -> String { text.chars().filter(|c| !c.is_control()).take(most).collect() };
    let request = JoinRequest {
        id: RequestId::new(),
        token: joining.token.id.clone(),
        item: host.id.clone(),
        claim: claim_of(joining),
        reason: reason.to_owned(),
        state: RequestState::Pending,
        hostname: clean(&joining.request.hostname, 255),
        address,
        version: clean(&joining.request.version, 80),
        attempts: 1,
        created_at: now,
        seen_at: now,
        decided_at: None,
        decided_by: None,
    };
    store::insert_request(tx, &request).await?;
    let data = JoinRequestEvent::of(&request, &host.name);
    tx.append(actor, NewEvent::new("join_request.created", &request.id, &data))
        .await?;
    Ok(request.id)
}

/// Is somebody there whom a takeover would put out?
fn is_live(fleet: &Fleet, agent: &Agent, identity: &protocol::Identity) -> bool {
    if fleet.hub().session(&agent.id).is_some() {
        return true;
    }
    match agent.presence {
        Presence::Connected | Presence::Disconnected => true,
        Presence::Lost => false,
        Presence::New => {
            let age = fleet.now().as_second() - agent.joined_at.as_second();
            let is_its_boot = agent.identity.boot_id.is_some() && agent.identity.boot_id == identity.boot_id;
            agent.state == AgentState::Active && age < SETTLING.as_secs().cast_signed() && !is_its_boot
        }
    }
}

/// Could these two be one machine that runs? What only one of them shows says nothing.
pub fn is_same_machine(a: &protocol::Identity, b: &protocol::Identity) -> bool {
    let differ = |x: &Option<String>, y: &Option<String>| x.is_some() && y.is_some() && x != y;
    let other_cards =
        !a.macs.is_empty() && !b.macs.is_empty() && !a.macs.iter().any(|mac| b.macs.contains(mac));
    !(other_cards
        || differ(&a.boot_id, &b.boot_id)
        || differ(&a.machine_id, &b.machine_id)
        || differ(&a.dmi_uuid, &b.dmi_uuid)
        || differ(&a.serial, &b.serial))
}

/// What an approval is bound to besides token and host: where the join came from, the name and the lasting keys that were shown.
fn claim_of(joining: &Joining<'_>) -> String {
    let mut identity = joining.request.identity.clone();
    identity.boot_id = None;
    identity.macs.sort();
    let address = joining.from.ip().to_canonical().to_string();
    let text = serde_json::json!([joining.request.hostname, address, identity]).to_string();
    kernel::secret::sha256_hex(text.as_bytes())
}
