//! Joining: a token and a key come in, a certificate and the authority go out.

use std::net::SocketAddr;
use std::time::Duration;

use kernel::{Actor, DbError, NewEvent, Timestamp, Tx};
use protocol::{ToAgent, ToServer};

use super::takeover::{self, Joining, Outcome};
use super::{Connection, PATIENCE, refuse};
use crate::error::FleetError;
use crate::events::{AgentEvent, TokenEvent};
use crate::model::{Agent, AgentId, AgentState, JoinToken, Presence, TokenId, agent_actor};
use crate::{Fleet, NewToken, store, token, wire};

/// Largest message that a stranger may send.
const MOST_BYTES: usize = 256 * 1024;

/// What a machine that joins says of itself.
pub struct Request {
    pub token: String,
    pub csr_pem: String,
    pub identity: protocol::Identity,
    pub hostname: String,
    pub version: String,
}

impl Request {
    /// `None` for any other message.
    pub fn of(message: ToServer) -> Option<Self> {
        match message {
            ToServer::Join {
                token,
                csr_pem,
                identity,
                hostname,
                agent_version,
                ..
            } => Some(Self {
                token,
                csr_pem,
                identity,
                hostname,
                version: agent_version,
            }),
            _ => None,
        }
    }
}

enum Refusal {
    /// To be told to the agent.
    Reason(String),
    Error(FleetError),
}

impl<E: Into<FleetError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// A connection without a certificate.
pub async fn serve(fleet: &Fleet, mut stream: Connection, from: SocketAddr) {
    let first = tokio::time::timeout(PATIENCE, wire::read::<ToServer, _>(&mut stream, MOST_BYTES)).await;
    let Ok(Ok(Some(Ok(message)))) = first else {
        return super::count(fleet, "silent");
    };
    match Request::of(message) {
        Some(request) => answer(fleet, stream, from, &request, None).await,
        None => {
            let reason = "this connection shows no certificate, so it may only join; run `mainstay agent join` with a token";
            refuse(fleet, &mut stream, reason).await;
        }
    }
}

/// Joins, and says how that went. `shown`: the agent whose certificate the connection has proved to hold the key of.
pub async fn answer(
    fleet: &Fleet,
    mut stream: Connection,
    from: SocketAddr,
    request: &Request,
    shown: Option<&AgentId>,
) {
    match join(fleet, request, from, shown).await {
        Ok(message) => {
            let _ = tokio::time::timeout(PATIENCE, wire::write(&mut stream, &message)).await;
            let _ = tokio::time::timeout(PATIENCE, tokio::io::AsyncWriteExt::shutdown(&mut stream)).await;
        }
        Err(Refusal::Reason(reason)) => {
            tracing::info!(%from, host = request.hostname, reason, "a join was refused");
            refuse(fleet, &mut stream, &reason).await;
        }
        Err(Refusal::Error(error)) => {
            tracing::error!(%from, host = request.hostname, %error, "a join failed");
            refuse(
                fleet,
                &mut stream,
                "the server cannot enrol agents right now; its log has the cause; try again",
            )
            .await;
        }
    }
}

fn bad_token() -> Refusal {
    Refusal::Reason(
        "this join token is unknown, used up, expired or revoked; make a new one under Admin, Agents".into(),
    )
}

async fn join(
    fleet: &Fleet,
    request: &Request,
    from: SocketAddr,
    shown: Option<&AgentId>,
) -> Result<ToAgent, Refusal> {
    let now = fleet.now();
    let hash = token::hash(&request.token);
    // Whoever has no token costs a read, and neither the writer nor a signature.
    let mut reader = fleet.kernel().db.read().await?;
    if store::good_token(&mut reader, &hash, now).await?.is_none() {
        return Err(bad_token());
    }
    drop(reader);
    let id = AgentId::new();
    let life = Duration::from_secs(fleet.settings().certificate_days * 24 * 3600);
    let signed = fleet
        .authority()
        .sign(&request.csr_pem, &id, now, life)
        .map_err(|error| Refusal::Reason(format!("the certificate request is not good: {error}")))?;
    let mut tx = fleet.kernel().db.write().await?;
    let good = store::good_token(&mut tx, &hash, now)
        .await?
        .ok_or_else(bad_token)?;
    let actor = agent_actor(&id, &request.hostname);
    let proven = match shown {
        Some(shown) => store::agent(&mut tx, shown)
            .await?
            .filter(|agent| agent.state == AgentState::Active),
        None => None,
    };
    let joining = Joining {
        request,
        token: &good,
        proven: proven.as_ref(),
        from,
    };
    let item = match host_of(fleet, &mut tx, &actor, &id, &joining).await? {
        Ok(item) => item,
        Err(reason) => {
            tx.commit().await?;
            return Err(Refusal::Reason(reason));
        }
    };
    let used = store::use_token(&mut tx, &hash, now)
        .await?
        .ok_or_else(bad_token)?;
    let name = inventory::store::item(&mut tx, &item)
        .await?
        .map(|i| i.name)
        .unwrap_or_default();
    let lost_since = replace(fleet, &mut tx, &actor, &item, &name).await?;
    let place = Place {
        id: id.clone(),
        item: item.clone(),
        from,
        lost_since,
    };
    let agent = newcomer(request, place, &used, now, signed.expires_at);
    store::insert_agent(&mut tx, &agent).await?;
    let data = AgentEvent {
        agent_id: id.to_string(),
        item_id: item.to_string(),
        name,
        version: Some(agent.version),
        address: Some(agent.address),
        reason: Some(format!("join token {} {}", used.id, used.note).trim().to_owned()),
        ..AgentEvent::default()
    };
    tx.append(&actor, NewEvent::new("agent.joined", &id, &data))
        .await?;
    tx.commit().await?;
    Ok(ToAgent::Joined {
        agent_id: id.to_string(),
        certificate_pem: signed.pem,
        ca_pem: fleet.authority().pem().to_owned(),
    })
}

/// The host of a join: a new one, or a known one that may be taken over; else why not. Team and tags of the token go to a new host
/// alone.
async fn host_of(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    id: &AgentId,
    joining: &Joining<'_>,
) -> Result<Result<inventory::ItemId, String>, DbError> {
    let (request, token) = (joining.request, joining.token);
    let (hostname, identity) = (request.hostname.as_str(), &request.identity);
    let source = format!("agent:{id}");
    let of_key = match joining.proven {
        Some(agent) => inventory::store::item(tx, &agent.item).await?,
        None => None,
    };
    let known = match of_key {
        Some(host) => Some(host),
        None => inventory::find_host(tx, &source, hostname, identity).await?,
    };
    let tags = token.tags.clone();
    let item = match known {
        None => inventory::observe_host(tx, actor, &source, hostname, identity, tags).await?,
        Some(host) => match takeover::judge(fleet, tx, actor, &host, joining).await? {
            Outcome::Wait(reason) => return Ok(Err(reason)),
            Outcome::Adopt => {
                let taken = inventory::adopt_host(tx, actor, &source, hostname, identity, host).await?;
                return Ok(Ok(taken));
            }
            Outcome::Separate => {
                inventory::separate_host(tx, actor, &source, hostname, identity, tags, &host.id).await?
            }
        },
    };
    inventory::place(tx, actor, &item, token.team.as_deref(), &token.tags).await?;
    Ok(Ok(item))
}

/// Who joins, on which host, from where.
struct Place {
    id: AgentId,
    item: inventory::ItemId,
    from: SocketAddr,
    /// The host's agent before was lost, and last heard then.
    lost_since: Option<Timestamp>,
}

fn newcomer(
    request: &Request,
    place: Place,
    token: &JoinToken,
    now: Timestamp,
    certificate_expires_at: Timestamp,
) -> Agent {
    let version = request.version.chars().filter(|c| !c.is_control()).take(80);
    Agent {
        id: place.id,
        item: place.item,
        state: AgentState::Active,
        // A host that is lost returns with the first connection of its new agent.
        presence: place.lost_since.map_or(Presence::New, |_| Presence::Lost),
        version: version.collect(),
        address: place.from.ip().to_string(),
        identity: request.identity.clone(),
        config: None,
        join_token: token.id.to_string(),
        joined_at: now,
        presence_at: now,
        heard_at: place.lost_since.unwrap_or(now),
        seq: 0,
        seq_at_ms: 0,
        certificate_expires_at,
        clock_offset_ms: None,
        refused_items: 0,
    }
}

/// A host has one agent: the one before is out. Gives when that was last heard, if it is lost.
async fn replace(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    item: &inventory::ItemId,
    name: &str,
) -> Result<Option<Timestamp>, DbError> {
    let mut lost_since = None;
    while let Some(before) = store::agent_of_item(tx, item).await? {
        store::save_state(tx, &before.id, AgentState::Replaced).await?;
        lost_since = (before.presence == Presence::Lost).then_some(before.heard_at);
        let data = AgentEvent {
            agent_id: before.id.to_string(),
            item_id: item.to_string(),
            name: name.to_owned(),
            reason: Some("the host was enrolled anew".into()),
            ..AgentEvent::default()
        };
        tx.append(actor, NewEvent::new("agent.replaced", &before.id, &data))
            .await?;
        let fleet = fleet.clone();
        tx.after_commit(move || fleet.hub().forget(&before.id));
    }
    Ok(lost_since)
}

pub async fn create_token(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    new: NewToken,
) -> Result<(JoinToken, String), DbError> {
    let (secret, hash) = token::secret();
    let now = tx.now();
    let seconds = i64::try_from(new.life.as_secs()).unwrap_or(i64::MAX);
    let token = JoinToken {
        id: TokenId::new(),
        note: new.note,
        team: new.team,
        tags: new.tags,
        uses: new.uses,
        used: 0,
        created_by: actor.key(),
        created_at: now,
        expires_at: Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX),
        revoked_at: None,
    };
    store::insert_token(tx, &token, &hash).await?;
    let data = TokenEvent {
        note: token.note.clone(),
        uses: token.uses,
        expires_at: token.expires_at,
    };
    tx.append(actor, NewEvent::new("join_token.created", &token.id, &data))
        .await?;
    let addresses = if new.addresses.is_empty() {
        fleet.addresses()
    } else {
        new.addresses
    };
    let program = new.program.as_deref();
    let text = token::encode(&addresses, fleet.authority().fingerprint(), &secret, program);
    Ok((token, text))
}
