//! From a request's credentials to the one who acts. Nothing is cached: who is disabled is out with the next request.

use axum::http::Method;
use axum::http::request::Parts;
use kernel::http::Authenticate;
use kernel::http::problem::UNAUTHENTICATED;
use kernel::secret::sha256_hex;
use kernel::{Actor, ActorKind, BoxFuture, DbError, Grant, Problem, Timestamp};
use sqlx::AnyConnection;
use subtle::ConstantTimeEq;

use crate::client::Client;
use crate::decide::{TOUCH_EVERY_S, is_live};
use crate::model::{Session, Token};
use crate::problems::CSRF;
use crate::{Access, store};

/// Tokens begin so, which lets secret scanners find them where they do not belong.
pub const TOKEN_PREFIX: &str = "ms_";
/// Beginnings of the topics after which a credential may stand for somebody else, for less or for nothing.
const CONCERNING: [&str; 8] = [
    "session.closed",
    "password.",
    "person.",
    "token.",
    "grant.",
    "member.",
    "team.removed",
    "service_account.",
];
/// Most uses that wait to be written; beyond it they are exact to more than a minute.
const TOUCHED_MAX: usize = 10_000;

impl Authenticate for Access {
    fn authenticate<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        Box::pin(async move {
            let client = Client::of(parts, &self.settings().trusted_proxies);
            if let Some(bearer) = &client.bearer {
                return self.by_token(bearer).await.map(Some);
            }
            match &client.session_secret {
                Some(secret) => {
                    let is_use = parts.extensions.get::<kernel::http::LookedAtAgain>().is_none();
                    let (session, actor) = self.live_session(secret, is_use).await?;
                    check_csrf(&session, &client, &parts.method)?;
                    Ok(Some(actor))
                }
                None => Ok(None),
            }
        })
    }

    fn is_concerned(&self, topic: &str) -> bool {
        CONCERNING.iter().any(|noun| topic.starts_with(noun))
    }
}

impl Access {
    async fn by_token(&self, secret: &str) -> Result<Actor, Problem> {
        let refused = || {
            Problem::new(
                &UNAUTHENTICATED,
                "the API token is unknown, has expired or was revoked; make a new one",
            )
        };
        if !secret.starts_with(TOKEN_PREFIX) {
            return Err(refused());
        }
        let now = self.kernel().clock.now();
        let mut reader = self.kernel().db.read().await?;
        let token = store::tokens::by_hash(&mut reader, &sha256_hex(secret.as_bytes())).await?;
        let Some(token) = token.filter(|token| token.expires_at.is_none_or(|end| now < end)) else {
            return Err(refused());
        };
        let actor = actor_of_token(&mut reader, &token).await?.ok_or_else(refused)?;
        self.touch(token.id.as_str(), token.used_at, now);
        Ok(actor)
    }

    async fn live_session(&self, secret: &str, is_use: bool) -> Result<(Session, Actor), Problem> {
        let ended = || Problem::new(&UNAUTHENTICATED, "your session has ended; sign in again");
        self.session_actor(secret, is_use).await?.ok_or_else(ended)
    }

    /// The live session of a secret, and the person behind it. A use keeps the session alive; a look at it does not.
    pub(crate) async fn session_actor(
        &self,
        secret: &str,
        is_use: bool,
    ) -> Result<Option<(Session, Actor)>, DbError> {
        let now = self.kernel().clock.now();
        let mut reader = self.kernel().db.read().await?;
        let session = store::sessions::by_hash(&mut reader, &sha256_hex(secret.as_bytes()), now).await?;
        let Some(session) = session.filter(|session| is_live(session, self.settings(), now)) else {
            return Ok(None);
        };
        let actor = actor_of_person(&mut reader, session.person.as_str()).await?;
        if is_use {
            self.touch(session.id.as_str(), Some(session.seen_at), now);
        }
        Ok(actor.map(|actor| (session, actor)))
    }

    /// Is this an API token that works now?
    pub async fn is_good_token(&self, secret: &str) -> Result<bool, DbError> {
        match self.by_token(secret).await {
            Ok(_) => Ok(true),
            Err(problem) if problem.status == 401 => Ok(false),
            Err(problem) => Err(sqlx::Error::Protocol(problem.to_string()).into()),
        }
    }

    /// Notes a use, to be written by the housekeeping task.
    fn touch(&self, id: &str, before: Option<Timestamp>, now: Timestamp) {
        if before.is_some_and(|before| now.as_second() - before.as_second() < TOUCH_EVERY_S) {
            return;
        }
        let mut touched = self.touched();
        if touched.len() < TOUCHED_MAX || touched.contains_key(id) {
            touched.insert(id.to_owned(), now);
        }
    }

    pub(crate) fn touched(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, Timestamp>> {
        self.inner
            .touched
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A change from a browser names the session's token, which another site's page does not know.
fn check_csrf(session: &Session, client: &Client, method: &Method) -> Result<(), Problem> {
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let given = client.csrf.as_deref().unwrap_or_default();
    if !is_safe && !bool::from(given.as_bytes().ct_eq(session.csrf.as_bytes())) {
        return Err(Problem::new(
            &CSRF,
            "a change from a browser session needs the header `x-csrf-token` with the `csrf_token` of GET /api/v1/session",
        ));
    }
    Ok(())
}

/// The person as an actor, unless they are gone or disabled.
pub(crate) async fn actor_of_person(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<Actor>, DbError> {
    let Some(person) = store::person(connection, id).await?.filter(|p| !p.is_disabled) else {
        return Ok(None);
    };
    let grants = store::grants::effective(connection, id).await?;
    Ok(Some(Actor {
        kind: ActorKind::Person,
        id: id.to_owned(),
        name: person.name,
        grants: grants.iter().map(Grant::from).collect(),
        only: None,
    }))
}

async fn actor_of_token(connection: &mut AnyConnection, token: &Token) -> Result<Option<Actor>, DbError> {
    let owner = token.owner.as_str();
    let actor = match store::services::get(connection, owner).await? {
        Some(account) if account.is_disabled => None,
        Some(account) => Some(Actor {
            kind: ActorKind::Service,
            id: owner.to_owned(),
            name: account.name,
            grants: store::grants::effective(connection, owner)
                .await?
                .iter()
                .map(Grant::from)
                .collect(),
            only: None,
        }),
        None => actor_of_person(connection, owner).await?,
    };
    Ok(actor.map(|actor| Actor {
        only: token.permissions.clone(),
        ..actor
    }))
}
