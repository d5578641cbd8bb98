//! Signing in, and the sessions that come of it.
//!
//! Flow: count the attempt as failed in [`crate::attempts`] (so that attempts at the same time cannot outrun the count) → check the password, in the same
//! time whether the login exists or not → open a session and take the count back, or tell of the refusal.

use axum::http::HeaderName;
use axum::http::header::SET_COOKIE;
use jiff::SignedDuration;
use kernel::http::problem::UNAUTHENTICATED;
use kernel::secret::{random_hex, sha256_hex};
use kernel::{Actor, NewEvent, Problem, Timestamp, Tx};

use crate::attempts::Key;
use crate::client::{Client, set_cookie};
use crate::decide::{ROTATE_AFTER_S, ThrottleKind};
use crate::events::SessionData;
use crate::model::{Person, Session, SessionId};
use crate::store::{people, sessions};
use crate::{Access, device, store};

/// A session that was just opened or rotated: the secret exists nowhere else.
pub struct Opened {
    pub session: Session,
    pub cookie: String,
    /// Marks the browser as one that this login is used on.
    pub device: String,
}

impl Opened {
    pub fn headers(self) -> [(HeaderName, String); 2] {
        [(SET_COOKIE, self.cookie), (SET_COOKIE, self.device)]
    }
}

/// The keys under which an attempt counts. A browser that this login has been used on before counts for itself alone: what
/// strangers do from the same address, or with the same login, does not lock its owner out.
fn attempt_keys(access: &Access, client: &Client, login: &str) -> Vec<Key> {
    let login = people::login_key(login);
    if let Some(device) = client
        .device
        .as_deref()
        .filter(|_| is_known_device(access, client, &login))
    {
        let device = sha256_hex(device.as_bytes());
        return vec![(ThrottleKind::Pair, format!("device {device}"))];
    }
    let login = sha256_hex(login.as_bytes());
    let address = client.throttle_address();
    let mut keys = Vec::with_capacity(4);
    let address = match &client.claimed {
        Some(claimed) => {
            keys.push((ThrottleKind::SharedAddress, format!("proxy {address}")));
            format!("{address} for {claimed}")
        }
        None => address,
    };
    keys.push((ThrottleKind::Address, format!("address {address}")));
    keys.push((ThrottleKind::Login, format!("login {login}")));
    keys.push((ThrottleKind::Pair, format!("pair {login} {address}")));
    keys
}

/// Was this login used on this browser before?
fn is_known_device(access: &Access, client: &Client, login_key: &str) -> bool {
    let device = client.device.as_deref();
    device.is_some_and(|device| device::is_of(access, device, login_key))
}

/// Counts an attempt, or refuses it when there were too many. Reads only: what is counted is written down by a task.
async fn reserve(access: &Access, client: &Client, login: &str) -> Result<(), Problem> {
    let mut keys = attempt_keys(access, client, login);
    if client.claimed.is_some() {
        access.warn_of_proxy(&client.address);
    }
    access.learn_attempts(&keys).await?;
    // A stranger who fails on purpose must not lock somebody out of where they are signed in.
    let mut reader = access.kernel().db.read().await?;
    if sessions::is_address_of(&mut reader, &people::login_key(login), &client.address).await? {
        keys.retain(|(kind, _)| *kind != ThrottleKind::Login);
    }
    drop(reader);
    let reserved = access.attempts().reserve(&keys, access.kernel().clock.now());
    reserved.map_err(|wait_s| {
        count_outcome(access, "throttled");
        Problem::too_many(
            format_args!("too many failed sign-ins; try again in {wait_s} s"),
            wait_s.unsigned_abs(),
        )
    })
}

/// The attempt succeeded.
pub fn reset_attempts(access: &Access, client: &Client, login: &str) {
    let keys = attempt_keys(access, client, login);
    access.attempts().reset(&keys, access.kernel().clock.now());
}

fn count_outcome(access: &Access, outcome: &str) {
    let labels = [("outcome", outcome)];
    access
        .kernel()
        .metrics
        .counter("mainstay_sign_ins_total", &labels)
        .add(1);
}

/// Checks login and password and opens a session.
pub async fn sign_in(
    access: &Access,
    client: &Client,
    login: &str,
    password: &str,
) -> Result<(Person, Opened), Problem> {
    let (person, hash) = check_password(access, client, login, password).await?;
    let mut tx = access.kernel().db.write().await?;
    // Between the check and here the person may have been disabled or given a new password.
    let again = people::by_login(&mut tx, &person.login).await?;
    if !again.is_some_and(|(person, now_hash)| !person.is_disabled && now_hash == hash) {
        return Err(wrong());
    }
    if let Some(secret) = &client.session_secret {
        close_presented(&mut tx, secret).await?;
    }
    let opened = open_session(access, &mut tx, client, &person).await?;
    tx.commit().await?;
    reset_attempts(access, client, login);
    Ok((person, opened))
}

/// The person whose login and password these are, and the hash that it was checked against.
pub async fn check_password(
    access: &Access,
    client: &Client,
    login: &str,
    password: &str,
) -> Result<(Person, String), Problem> {
    reserve(access, client, login).await?;
    let mut reader = access.kernel().db.read().await?;
    let found = people::by_login(&mut reader, login).await?;
    drop(reader);
    let hash = found.as_ref().map(|(_, hash)| hash.as_str());
    let is_known = is_known_device(access, client, &people::login_key(login));
    let is_right = access.passwords().is_right(password, hash, is_known).await?;
    let reason = match found {
        Some((person, hash)) if is_right && !person.is_disabled => {
            count_outcome(access, "accepted");
            return Ok((person, hash));
        }
        Some((person, _)) => Some((person, if is_right { "disabled" } else { "wrong_password" })),
        None => None,
    };
    count_outcome(access, "refused");
    let (subject, login, reason) = match reason {
        Some((person, reason)) => (person.id.to_string(), Some(person.login), reason),
        None => ("sign-in".to_owned(), None, "unknown_login"),
    };
    access
        .attempts()
        .refuse(subject, session_data(client, login, Some(reason)));
    access.attempts_wake().signal();
    Err(wrong())
}

fn wrong() -> Problem {
    Problem::new(
        &UNAUTHENTICATED,
        "the login or the password is wrong, or the person is disabled",
    )
}

/// Opens a session in the caller's transaction.
pub async fn open_session(
    access: &Access,
    tx: &mut Tx,
    client: &Client,
    person: &Person,
) -> Result<Opened, Problem> {
    let now = tx.now();
    let secret = random_hex(32);
    let session = Session {
        id: SessionId::new(),
        person: person.id.clone(),
        hash: sha256_hex(secret.as_bytes()),
        csrf: random_hex(32),
        created_at: now,
        rotated_at: now,
        seen_at: now,
        expires_at: add_s(now, access.settings().session_s()),
        address: client.address.clone(),
        user_agent: client.user_agent.clone(),
    };
    sessions::insert(tx, &session).await?;
    people::set_signed_in(tx, person.id.as_str(), now).await?;
    let data = session_data(client, Some(person.login.clone()), None);
    let event = NewEvent::new("session.opened", &person.id, &data);
    tx.append(&person_actor(person), event).await?;
    let cookie = set_cookie(&secret, access.settings().session_s(), client.is_secure);
    let device = device::cookie(access, &person.login, client.is_secure)?;
    Ok(Opened {
        session,
        cookie,
        device,
    })
}

/// Ends the session of the cookie that came with a sign-in, so that none is left behind.
async fn close_presented(tx: &mut Tx, secret: &str) -> Result<(), Problem> {
    let hash = sha256_hex(secret.as_bytes());
    let now = tx.now();
    if let Some(session) = sessions::by_hash(tx, &hash, now).await? {
        sessions::delete(tx, session.id.as_str(), session.person.as_str()).await?;
    }
    Ok(())
}

/// A new secret for a session whose own is a day old; `None` when it is not, or another request was first.
pub async fn rotate(access: &Access, client: &Client, session: &Session) -> Result<Option<String>, Problem> {
    let now = access.kernel().clock.now();
    if now.as_second() - session.rotated_at.as_second() < ROTATE_AFTER_S {
        return Ok(None);
    }
    let secret = random_hex(32);
    let mut tx = access.kernel().db.write().await?;
    if !sessions::rotate(&mut tx, session, &sha256_hex(secret.as_bytes()), now).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let left_s = session.expires_at.as_second() - now.as_second();
    Ok(Some(set_cookie(&secret, left_s, client.is_secure)))
}

/// Signs out.
pub async fn close(
    access: &Access,
    client: &Client,
    actor: &Actor,
    session: &Session,
) -> Result<(), Problem> {
    let mut tx = access.kernel().db.write().await?;
    sessions::delete(&mut tx, session.id.as_str(), session.person.as_str()).await?;
    let login = store::person(&mut tx, session.person.as_str())
        .await?
        .map(|person| person.login);
    let data = session_data(client, login, Some("signed_out"));
    tx.append(actor, NewEvent::new("session.closed", &session.person, &data))
        .await?;
    Ok(tx.commit().await?)
}

pub fn session_data(client: &Client, login: Option<String>, reason: Option<&str>) -> SessionData {
    SessionData {
        login,
        address: client.address.clone(),
        user_agent: client.user_agent.clone(),
        reason: reason.map(str::to_owned),
    }
}

/// The person as the doer of an event about themselves.
pub fn person_actor(person: &Person) -> Actor {
    Actor {
        kind: kernel::ActorKind::Person,
        id: person.id.to_string(),
        name: person.name.clone(),
        grants: Vec::new(),
        only: None,
    }
}

pub fn add_s(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}
