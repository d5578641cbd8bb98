//! The routes of notify, and who may call them.

mod channels;
mod messages;
mod test;

use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Notify;

const fn entry(method: &'static str, path: &'static str, allow: Allow) -> Endpoint {
    Endpoint { method, path, allow }
}

const CHANNELS_READ: Allow = Allow::Permission("channels.read", roles::READ);
const CHANNELS_WRITE: Allow = Allow::Permission("channels.write", roles::ADMINISTER);
const MESSAGES_READ: Allow = Allow::Permission("messages.read", roles::READ);
const MESSAGES_WRITE: Allow = Allow::Permission("messages.write", roles::OPERATE);

pub const PERMISSIONS: &[Endpoint] = &[
    entry("GET", "/api/v1/channels", CHANNELS_READ),
    entry("POST", "/api/v1/channels", CHANNELS_WRITE),
    entry("GET", "/api/v1/channels/{id}", CHANNELS_READ),
    entry("PATCH", "/api/v1/channels/{id}", CHANNELS_WRITE),
    entry("DELETE", "/api/v1/channels/{id}", CHANNELS_WRITE),
    entry("POST", "/api/v1/channels/{id}/test", CHANNELS_WRITE),
    entry("GET", "/api/v1/messages", MESSAGES_READ),
    entry("GET", "/api/v1/messages/{id}", MESSAGES_READ),
    entry("POST", "/api/v1/messages/{id}/retry", MESSAGES_WRITE),
];

pub fn routes(notify: &Notify) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(channels::list_channels, channels::create_channel))
        .routes(routes!(
            channels::get_channel,
            channels::update_channel,
            channels::delete_channel
        ))
        .routes(routes!(test::test_channel))
        .routes(routes!(messages::list_messages))
        .routes(routes!(messages::get_message))
        .routes(routes!(messages::retry_message))
        .with_state(notify.clone())
}

/// Channels and the outbox serve everybody: a role that holds only somewhere does not reach them.
fn refuse_scoped(actor: &Actor) -> Result<(), Problem> {
    if actor.is_scoped() {
        return Err(Problem::forbidden(
            "channels and messages cover everything; your roles hold only for some teams or tags",
        ));
    }
    Ok(())
}

/// Changing them needs the role everywhere.
fn require_everywhere(actor: &Actor, permission: &str, roles: &[kernel::Role]) -> Result<(), Problem> {
    if actor.may(permission, roles, None, &Default::default()) {
        return Ok(());
    }
    Err(Problem::forbidden(format_args!(
        "\"{permission}\" must hold everywhere; your roles hold only for some teams or tags"
    )))
}
