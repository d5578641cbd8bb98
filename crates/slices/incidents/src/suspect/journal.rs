//! What a line of a host's journal says of who did what: a command by `sudo`, a login, the kernel that ended a process, the
//! service manager that tells of a unit.

/// Programs whose lines are read, as an anchored expression over the label `program`.
pub const PROGRAMS: &str =
    r"sudo|doas|pkexec|su|systemd|init\.scope|systemd-logind|kernel|sshd|sshd-session|ssh|login";

/// Programs that stop, change or remove something.
const ACTING: [&str; 24] = [
    "kill",
    "pkill",
    "killall",
    "systemctl",
    "service",
    "rc-service",
    "reboot",
    "shutdown",
    "poweroff",
    "halt",
    "docker",
    "podman",
    "kubectl",
    "apt",
    "apt-get",
    "dnf",
    "yum",
    "dpkg",
    "rpm",
    "rm",
    "mv",
    "dd",
    "fallocate",
    "truncate",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Command {
        user: String,
        command: String,
    },
    Login {
        user: String,
        from: String,
    },
    OutOfMemory {
        process: String,
    },
    /// The service manager tells of a unit.
    Unit,
}

/// What a line of `program` says, when it is one of these.
pub fn read(program: &str, text: &str) -> Option<Said> {
    match program {
        "sudo" | "doas" | "pkexec" | "su" => {
            let (user, rest) = text.split_once(':')?;
            let (_, command) = rest.split_once("COMMAND=")?;
            Some(Said::Command {
                user: user.trim().to_owned(),
                command: command.trim().to_owned(),
            })
        }
        "sshd" | "sshd-session" | "ssh" | "login" => {
            let rest = text.strip_prefix("Accepted ")?;
            let (_, rest) = rest.split_once(" for ")?;
            let (user, rest) = rest.split_once(" from ")?;
            Some(Said::Login {
                user: user.trim().to_owned(),
                from: rest.split_whitespace().next()?.to_owned(),
            })
        }
        "kernel" => {
            let (_, rest) = text.split_once("Killed process ")?;
            let (_, rest) = rest.split_once('(')?;
            let (process, _) = rest.split_once(')')?;
            Some(Said::OutOfMemory {
                process: process.to_owned(),
            })
        }
        "systemd" | "init.scope" => Some(Said::Unit),
        _ => None,
    }
}

/// A command without the folders of its programs.
pub fn shown(command: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    format!("{program} {}", rest.join(" ")).trim().to_owned()
}

/// Does it only look?
pub fn only_reads(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    automation::reads(&words)
}

/// Can it stop, change or remove something?
pub fn acts(command: &str) -> bool {
    let shown = shown(command);
    let program = shown.split_whitespace().next().unwrap_or_default();
    ACTING.contains(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_what_is_read_from_the_journal() {
        let sudo = "ada : TTY=pts/0 ; PWD=/srv/ada ; USER=root ; COMMAND=/usr/bin/systemctl stop postgresql";
        let Some(Said::Command { user, command }) = read("sudo", sudo) else {
            panic!("no command");
        };
        assert_eq!(
            (user.as_str(), shown(&command).as_str()),
            ("ada", "systemctl stop postgresql")
        );
        assert!(acts(&command) && !only_reads(&command));
        assert!(only_reads("/usr/bin/systemctl status postgresql") && only_reads("/usr/bin/df -h"));
        let login = read(
            "sshd",
            "Accepted publickey for ben from 10.20.250.7 port 4711 ssh2: ED25519 SHA256:x",
        );
        assert_eq!(
            login,
            Some(Said::Login {
                user: "ben".into(),
                from: "10.20.250.7".into()
            })
        );
        let killed = read(
            "kernel",
            "Out of memory: Killed process 812 (postgres) total-vm:1kB, anon-rss:1kB",
        );
        assert_eq!(
            killed,
            Some(Said::OutOfMemory {
                process: "postgres".into()
            })
        );
        for (program, text) in [
            ("sudo", "pam_unix(sudo:session): session opened"),
            ("kernel", "x"),
            ("sshd", "Accepted"),
        ] {
            assert_eq!(read(program, text), None, "{text}");
        }
    }
}
