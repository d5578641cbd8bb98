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
    /// All groups that the user is in, the first one among them.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// Looks a user up by name or number, in the file first and then wherever else the host keeps accounts.
pub(crate) async fn look_up(user: &str) -> Result<Account, String> {
    if user.is_empty() || user.starts_with('-') || user.contains(':') {
        return Err(format!("{user:?} is not the name of a user"));
    }
    let text = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let found = match find(&text, user) {
        Some(account) => Some(account),
        None => find(
            &ask("getent", &["passwd", "--", user]).await.unwrap_or_default(),
            user,
        ),
    };
    let mut account = found.ok_or_else(|| format!("this host has no user {user:?}"))?;
    // A user without its groups is another user: files that it may read every day are refused.
    account.groups = groups(&account).await?;
    Ok(account)
}

/// The groups of a user, wherever the host keeps them.
async fn groups(account: &Account) -> Result<Vec<u32>, String> {
    let text = ask("id", &["-G", "--", &account.name]).await?;
    let numbers: Result<Vec<u32>, _> = text.split_ascii_whitespace().map(str::parse).collect();
    match numbers {
        Ok(groups) if !groups.is_empty() => Ok(groups),
        _ => Err(format!(
            "the groups of {:?} are not known: `id -G` said {text:?}",
            account.name
        )),
    }
}

async fn ask(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(5), command.output()).await {
        Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Err(error)) => Err(format!("failed to start {program:?}: {error}")),
        Err(_) => Err(format!("{program:?} did not answer within 5 s")),
    }
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
        groups: vec![gid],
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
