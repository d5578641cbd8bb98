//! Does a runbook change anything? Only what is known to read counts as reading: everything else may change something.

use protocol::HttpMethod;

use crate::document::{Act, Document};

/// Programs that only read, whatever their arguments.
const READERS: &[&str] = &[
    "cat",
    "cut",
    "date",
    "df",
    "dig",
    "dmesg",
    "du",
    "echo",
    "file",
    "free",
    "getent",
    "grep",
    "head",
    "host",
    "hostname",
    "id",
    "iostat",
    "last",
    "ls",
    "lsblk",
    "lscpu",
    "lsof",
    "mpstat",
    "nslookup",
    "pgrep",
    "pidstat",
    "ping",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "sar",
    "sort",
    "ss",
    "stat",
    "tail",
    "test",
    "tr",
    "true",
    "uname",
    "uniq",
    "uptime",
    "vmstat",
    "w",
    "wc",
    "who",
    "journalctl",
];
/// Verbs of `systemctl` that only read.
const UNIT_READERS: &[&str] = &[
    "cat",
    "is-active",
    "is-enabled",
    "is-failed",
    "list-timers",
    "list-units",
    "show",
    "status",
];
/// Options of readers that delete after all.
const WRITING_OPTIONS: &[&str] = &["--vacuum", "--rotate", "--flush", "--clear", "-C", "-c"];

impl Document {
    /// No step changes anything.
    pub fn is_read_only(&self) -> bool {
        self.steps.iter().all(|step| step.act.is_read_only())
    }
}

impl Act {
    fn is_read_only(&self) -> bool {
        match self {
            Self::Command { argv, .. } => {
                let words: Vec<&str> = argv.iter().map(String::as_str).collect();
                reads(&words)
            }
            Self::Script {
                interpreter, script, ..
            } => interpreter.is_none() && script_reads(script),
            Self::Http { method, .. } => matches!(method, HttpMethod::Get | HttpMethod::Head),
            Self::Service { .. } => false,
            Self::Wait { .. } | Self::Approval { .. } | Self::Notify { .. } => true,
        }
    }
}

/// Does this command only read? Words of a command line, the program first.
pub fn reads(words: &[&str]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return true;
    };
    let program = program.rsplit('/').next().unwrap_or_default();
    if program == "systemctl" {
        let verb = rest.iter().find(|word| !word.starts_with('-'));
        return verb.is_none_or(|verb| UNIT_READERS.contains(verb));
    }
    let is_careful = matches!(program, "journalctl" | "dmesg");
    let writes = |word: &&str| WRITING_OPTIONS.iter().any(|option| word.starts_with(option));
    READERS.contains(&program) && !(is_careful && rest.iter().any(writes))
}

/// Every command of every line reads, and nothing is written to a file.
fn script_reads(script: &str) -> bool {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with('#');
    script.lines().map(str::trim).filter(is_code).all(|line| {
        let writes = line.replace("2>/dev/null", "").replace("2>&1", "").contains('>');
        let hides = line.contains('`') || line.contains("$(");
        !writes
            && !hides
            && line.split(['|', ';', '&']).all(|command| {
                let words: Vec<&str> = command.split_whitespace().collect();
                reads(&words)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_read_counts_as_reading() {
        for (words, is_reading) in [
            (&["df", "-h"][..], true),
            (&["/usr/bin/free", "-m"], true),
            (&["systemctl", "--no-pager", "status", "nginx"], true),
            (&["systemctl", "restart", "nginx"], false),
            (&["journalctl", "-u", "nginx"], true),
            (&["journalctl", "--vacuum-size=1G"], false),
            (&["rm", "-r", "/tmp/x"], false),
            (&["unknown"], false),
        ] {
            assert_eq!(reads(words), is_reading, "{words:?}");
        }
        assert!(script_reads("# look\ndf -h | sort 2>/dev/null\nps aux\n"));
        assert!(!script_reads("df -h > /tmp/out\n"));
        assert!(!script_reads("ps aux; kill 4\n"));
        assert!(!script_reads("echo $(reboot)\n"));
    }
}
