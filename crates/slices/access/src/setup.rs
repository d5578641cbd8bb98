//! The first administrator, and the account for scripts that set the house up.

use kernel::secret::{random_hex, sha256_hex};
use kernel::{Actor, DbError, NewEvent, Role, Scope, Timestamp, Tx};

use crate::Access;
use crate::authenticate::TOKEN_PREFIX;
use crate::events::{GrantData, NameData, TokenData};
use crate::model::{GrantId, HeldGrant, ServiceAccount, ServiceId, Token, TokenId};
use crate::store;

const BOOTSTRAP: &str = "bootstrap";

impl Access {
    /// Is there nobody yet who could sign in and administer?
    pub async fn needs_setup(&self) -> Result<bool, DbError> {
        let mut reader = self.kernel().db.read().await?;
        Ok(store::people::count_administrators(&mut reader).await? == 0)
    }

    /// A token with which the first administrator is made, once; `None` when there is one. Tokens given out before no longer work.
    pub async fn setup_link_token(&self) -> Result<Option<String>, DbError> {
        if !self.needs_setup().await? {
            return Ok(None);
        }
        let token = random_hex(32);
        let mut tx = self.kernel().db.write().await?;
        let now = tx.now();
        store::setup::put(&mut tx, &sha256_hex(token.as_bytes()), now).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// A fresh API token of the service account "bootstrap", an administrator. Its tokens from before no longer work.
    pub async fn bootstrap_token(&self) -> Result<String, DbError> {
        let system = Actor::system("access");
        let mut tx = self.kernel().db.write().await?;
        let now = tx.now();
        let account = match store::services::by_name(&mut tx, BOOTSTRAP).await? {
            Some(account) => restore_bootstrap(&mut tx, &system, account).await?,
            None => make_bootstrap(&mut tx, &system, now).await?,
        };
        store::tokens::delete_of_owner(&mut tx, account.id.as_str()).await?;
        let token = Token {
            id: TokenId::new(),
            owner: account.id.to_string(),
            name: BOOTSTRAP.into(),
            permissions: None,
            created_at: now,
            expires_at: None,
            used_at: None,
        };
        let secret = add_token(&mut tx, &system, &token).await?;
        tx.commit().await?;
        Ok(secret)
    }
}

async fn make_bootstrap(tx: &mut Tx, actor: &Actor, now: Timestamp) -> Result<ServiceAccount, DbError> {
    let account = ServiceAccount {
        id: ServiceId::new(),
        name: BOOTSTRAP.into(),
        description: "Made by --admin-token-file for scripts that set the house up.".into(),
        is_disabled: false,
        created_at: now,
    };
    store::services::insert(tx, &account).await?;
    store::holders::note(tx, account.id.as_str(), actor).await?;
    let data = NameData {
        name: account.name.clone(),
        changes: Default::default(),
    };
    tx.append(
        actor,
        NewEvent::new("service_account.created", &account.id, &data),
    )
    .await?;
    add_grant(
        tx,
        actor,
        account.id.as_str(),
        Role::Administrator,
        Scope::default(),
    )
    .await?;
    Ok(account)
}

/// Whoever starts the server with a token file wants the account to work, whatever was done to it since.
async fn restore_bootstrap(
    tx: &mut Tx,
    actor: &Actor,
    mut account: ServiceAccount,
) -> Result<ServiceAccount, DbError> {
    if account.is_disabled {
        account.is_disabled = false;
        store::services::update(tx, &account).await?;
        let data = NameData {
            name: account.name.clone(),
            changes: [("is_disabled".to_owned(), ["true".to_owned(), "false".to_owned()])].into(),
        };
        tx.append(
            actor,
            NewEvent::new("service_account.changed", &account.id, &data),
        )
        .await?;
    }
    let grants = store::grants::of_holder(tx, account.id.as_str()).await?;
    let is_administrator = grants
        .iter()
        .any(|grant| grant.role == Role::Administrator && grant.scope.is_everywhere());
    if !is_administrator {
        add_grant(
            tx,
            actor,
            account.id.as_str(),
            Role::Administrator,
            Scope::default(),
        )
        .await?;
    }
    Ok(account)
}

/// Grants a role, and tells of it.
pub async fn add_grant(
    tx: &mut Tx,
    actor: &Actor,
    holder: &str,
    role: Role,
    scope: Scope,
) -> Result<HeldGrant, DbError> {
    let grant = HeldGrant {
        id: GrantId::new(),
        holder: holder.to_owned(),
        role,
        scope,
        created_at: tx.now(),
    };
    store::grants::insert(tx, &grant).await?;
    tx.append(
        actor,
        NewEvent::new("grant.added", holder, &GrantData::of(&grant)),
    )
    .await?;
    Ok(grant)
}

/// Stores a token, tells of it, and returns its secret: the only time that it is seen.
pub async fn add_token(tx: &mut Tx, actor: &Actor, token: &Token) -> Result<String, DbError> {
    let secret = format!("{TOKEN_PREFIX}{}", random_hex(32));
    store::tokens::insert(tx, token, &sha256_hex(secret.as_bytes())).await?;
    if token.owner.parse::<ServiceId>().is_ok() {
        store::holders::note(tx, &token.owner, actor).await?;
    }
    tx.append(
        actor,
        NewEvent::new("token.created", &token.id, &TokenData::of(token)),
    )
    .await?;
    Ok(secret)
}
