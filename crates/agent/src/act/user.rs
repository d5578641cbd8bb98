//! The account that a command runs as.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A line of the password file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// Looks a user up by name or number, in the file first and then wherever else the host keeps accounts.
pub(crate) async fn look_up(user: &str) -> Result<Account, String> {
    if user.is_empty() || user.starts_with('-') || user.contains(':') {
        return Err(format!("{user:?} is not the name of a user"));
    }
    let text = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    if let Some(account) = find(&text, user) {
        return Ok(account);
    }
    let mut getent = tokio::process::Command::new("getent");
    getent
        .args(["passwd", user])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let answer = tokio::time::timeout(Duration::from_secs(5), getent.output()).await;
    let text = match answer {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    };
    find(&text, user).ok_or_else(|| format!("this host has no user {user:?}"))
}

fn find(text: &str, user: &str) -> Option<Account> {
    text.lines()
        .filter_map(parse)
        .find(|account| account.name == user || account.uid.to_string() == user)
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let mut rest = fields.skip(1);
    let (uid, gid) = (rest.next()?.parse().ok()?, rest.next()?.parse().ok()?);
    let mut rest = rest.skip(1);
    let home = rest.next()?.to_owned();
    let shell = rest
        .next()
        .filter(|shell| !shell.is_empty())
        .unwrap_or("/bin/sh")
        .to_owned();
    Some(Account {
        name,
        uid,
        gid,
        home,
        shell,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbroken\ndaemon:x:1:1::/usr/sbin:\n";
        let daemon = find(text, "daemon").unwrap();
        assert_eq!(
            (
                daemon.uid,
                daemon.gid,
                daemon.home.as_str(),
                daemon.shell.as_str()
            ),
            (1, 1, "/usr/sbin", "/bin/sh")
        );
        assert_eq!(find(text, "0").unwrap().name, "root");
        assert_eq!(find(text, "nobody"), None);
    }

    #[tokio::test]
    async fn strange_names_are_refused() {
        for name in ["", "-x", "a:b", "no-such-user-here"] {
            assert!(look_up(name).await.is_err(), "{name}");
        }
    }
}
