//! Which item do a series' or an alert's labels speak of?

use std::collections::BTreeMap;

use kernel::DbError;
use sqlx::AnyConnection;

use crate::model::{Item, ItemId};
use crate::store;

/// `instance` names the host; `name`, `service` or `unit` a service on it, `mountpoint` or `device` a disk or interface,
/// `path` a certificate. The most specific thing that is known; `None` when the host is not.
pub async fn resolve_labels(
    conn: &mut AnyConnection,
    labels: &BTreeMap<String, String>,
) -> Result<Option<ItemId>, DbError> {
    if let Some(id) = labels.get("item_id").and_then(|text| text.parse::<ItemId>().ok())
        && let Some(item) = store::item(conn, &id).await?
    {
        return Ok(Some(item.id));
    }
    let Some(instance) = labels.get("instance").or_else(|| labels.get("host")) else {
        return Ok(None);
    };
    let Some(host) = host(conn, instance).await? else {
        return Ok(None);
    };
    for label in ["name", "service", "unit"] {
        if let Some(name) = labels.get(label)
            && let Some(item) = service(conn, &host.id, name).await?
        {
            return Ok(Some(item.id));
        }
    }
    if let Some(mount_point) = labels.get("mountpoint")
        && let Some(item) = store::by_key(conn, "disk", Some(&host.id), mount_point).await?
    {
        return Ok(Some(item.id));
    }
    if let Some(device) = labels.get("device") {
        if let Some(item) = store::by_key(conn, "interface", Some(&host.id), device).await? {
            return Ok(Some(item.id));
        }
        let below = store::children(conn, &host.id).await?;
        let disk = below
            .into_iter()
            .find(|item| item.kind == "disk" && item.is_active() && is_device(item, device));
        if let Some(disk) = disk {
            return Ok(Some(disk.id));
        }
    }
    if let Some(path) = labels.get("path")
        && let Some(item) = store::by_key(conn, "certificate", Some(&host.id), path).await?
    {
        return Ok(Some(item.id));
    }
    Ok(Some(host.id))
}

/// A service of a host by name, with or without `.service` behind it.
pub async fn service(conn: &mut AnyConnection, host: &ItemId, name: &str) -> Result<Option<Item>, DbError> {
    if let Some(item) = store::by_key(conn, "service", Some(host), name).await? {
        return Ok(Some(item));
    }
    let other = match name.strip_suffix(".service") {
        Some(bare) => bare.to_owned(),
        None => format!("{name}.service"),
    };
    store::by_key(conn, "service", Some(host), &other).await
}

/// `web-1`, `web-1:9100`
async fn host(conn: &mut AnyConnection, instance: &str) -> Result<Option<Item>, DbError> {
    if let Some(host) = store::host_by_name(conn, instance).await? {
        return Ok(Some(host));
    }
    let Some((name, port)) = instance.rsplit_once(':') else {
        return Ok(None);
    };
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    if let Some(host) = store::host_by_name(conn, name).await? {
        return Ok(Some(host));
    }
    match store::hosts_of_address(conn, name).await?.as_slice() {
        [only] => store::item(conn, only).await,
        _ => Ok(None),
    }
}

/// `sda1` is `/dev/sda1`.
fn is_device(item: &Item, device: &str) -> bool {
    item.text("device")
        .is_some_and(|known| known == device || known.strip_prefix("/dev/") == Some(device))
}
