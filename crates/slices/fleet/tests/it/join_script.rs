//! The join script in a shell: with real tools, a root of its own, and stubs for what the test decides (the kernel's
//! name, glibc, who runs it, the network, systemd).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fleet::dist::{Facts, UNIT, join_script};

/// Says how it is called, joins unless the token is a bad one, runs until it is ended.
const PROGRAM: &str = r#"#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    --version) echo "mainstay 0" ;;
    "agent join --state "*)
        case "$MAINSTAY_JOIN_TOKEN" in
            ms1.good*) echo joined; echo "{}" >"$4/agent.json" ;;
            *) echo "joining failed: the server refused: this token is used up" >&2; exit 1 ;;
        esac ;;
    "agent run --state "*) trap 'exit 0' TERM; while :; do sleep 0.1; done ;;
    *) exit 9 ;;
esac
"#;

const CURL: &str = r#"#!/bin/sh
while [ $# -gt 1 ]; do
    [ "$1" = -o ] && to=$2
    shift
done
echo "fetch $1" >>"$CALLS"
cp "$SERVED/${1##*/}" "$to"
"#;

struct Host {
    dir: tempfile::TempDir,
    script: String,
}

impl Host {
    /// A host that can run what the server has: Linux, this kind of processor, glibc 2.36, root, no systemd.
    fn new() -> Self {
        Self::with(PROGRAM)
    }

    fn with(program: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root", "stubs", "served"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let facts = Facts {
            sha256: kernel::secret::sha256_hex(program.as_bytes()),
            size_bytes: program.len() as u64,
            glibc: Some("2.35".into()),
        };
        let host = Self {
            script: join_script("http://ops.example:8080", &facts),
            dir,
        };
        fs::write(host.path("served/mainstay"), program).unwrap();
        fs::write(host.path("served/mainstay-agent.service"), UNIT).unwrap();
        let uname = format!(
            "#!/bin/sh\ncase \"$1\" in -m) echo {} ;; *) echo Linux ;; esac\n",
            std::env::consts::ARCH
        );
        host.stub("uname", &uname);
        host.stub("getconf", "#!/bin/sh\necho glibc 2.36\n");
        host.stub("id", "#!/bin/sh\necho 0\n");
        host.stub("curl", CURL);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn stub(&self, name: &str, text: &str) {
        let path = self.path("stubs").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// With the token on standard input.
    fn run_with(&self, token: &str) -> Ran {
        fs::write(self.path("stdin"), format!("{token}\n")).unwrap();
        self.run_from(&[], fs::File::open(self.path("stdin")).unwrap().into())
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_from(arguments, Stdio::null())
    }

    fn run_from(&self, arguments: &[&str], stdin: Stdio) -> Ran {
        let script = self.path("join.sh");
        fs::write(&script, &self.script).unwrap();
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.path("stubs").display());
        let output = Command::new("/bin/sh")
            .arg(&script)
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("MAINSTAY_ROOT", self.path("root"))
            .env("SERVED", self.path("served"))
            .env("CALLS", self.path("calls"))
            .stdin(stdin)
            .output()
            .unwrap();
        Ran(output)
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn pid(&self) -> Option<String> {
        let pid = fs::read_to_string(self.path("root/run/mainstay-agent.pid")).ok()?;
        Some(pid.trim().to_owned())
    }

    fn is_running(&self) -> bool {
        self.pid().is_some_and(|pid| is_alive(&pid))
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It may have ended.
            let _ = Command::new("kill")
                .args(["-9", &pid])
                .stderr(Stdio::null())
                .status();
        }
    }
}

struct Ran(Output);

impl Ran {
    fn text(&self) -> String {
        let both = [self.0.stdout.as_slice(), self.0.stderr.as_slice()].concat();
        String::from_utf8(both).unwrap()
    }

    fn ok(&self) -> String {
        assert!(self.0.status.success(), "{}", self.text());
        self.text()
    }

    fn failed(&self) -> String {
        assert_eq!(self.0.status.code(), Some(1), "{}", self.text());
        self.text()
    }
}

fn has_program(host: &Host) -> bool {
    let folder = host.path("root/usr/local/bin");
    fs::read_dir(folder).is_ok_and(|entries| entries.count() > 0)
}

#[test]
fn without_systemd_the_agent_runs_in_the_background_and_the_way_to_keep_it_is_told() {
    let host = Host::new();
    let text = host.run(&["ms1.good"]).ok();
    assert!(host.is_running(), "{text}");
    let state = host.path("root/var/lib/mainstay-agent");
    let program = host.path("root/usr/local/bin/mainstay");
    let command = format!("{} agent run --state {}", program.display(), state.display());
    assert!(text.contains(&command), "{text}");
    assert!(text.contains("has joined http://ops.example:8080"), "{text}");
    let calls = host.calls();
    assert_eq!(calls[0], "fetch http://ops.example:8080/dist/mainstay");
    assert!(
        !calls.iter().any(|call| call.contains("ms1.")),
        "the token is on no command line: {calls:?}"
    );
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // Again, with a new token: the program is there, the agent is another process.
    let before = host.pid().unwrap();
    let text = host.run(&["ms1.good2"]).ok();
    assert!(text.contains("is up to date"), "{text}");
    assert!(!is_alive(&before) && host.is_running(), "{text}");
    // And with a bad one: nothing is worse than before.
    let text = host.run(&["ms1.bad"]).failed();
    assert!(
        text.contains("used up") && text.contains("goes on as it was"),
        "{text}"
    );
    assert!(host.is_running(), "{text}");
}

#[test]
fn the_token_comes_on_standard_input() {
    let host = Host::new();
    let text = host.run_with("ms1.good").ok();
    assert!(host.is_running() && !text.contains("command line"), "{text}");
    // On the command line it works, and is said to be seen by others.
    let text = host.run(&["ms1.good2"]).ok();
    assert!(text.contains("every user of this machine can read it"), "{text}");
}

#[test]
fn the_token_vouches_for_the_program() {
    use base64::Engine;
    let token = |program: &str| {
        let body = serde_json::json!({ "a": ["h:1"], "f": "f", "s": "s", "p": program }).to_string();
        format!(
            "ms1.{}",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(body)
        )
    };
    let host = Host::new();
    let sha256 = kernel::secret::sha256_hex(PROGRAM.as_bytes());
    // A script that was changed on the way, with its own idea of the program.
    let text = host.run_with(&token(&"ab".repeat(32))).failed();
    assert!(
        text.contains("another version") && text.contains("Nothing was installed"),
        "{text}"
    );
    assert!(
        host.calls().is_empty() && !has_program(&host),
        "nothing is fetched"
    );
    // The join itself is refused by this program, for which the token is none of its good ones.
    let text = host.run_with(&token(&sha256)).failed();
    assert!(text.contains("joining failed") && has_program(&host), "{text}");
}

#[test]
fn a_first_join_that_is_refused_starts_nothing() {
    let host = Host::new();
    let text = host.run(&["ms1.bad"]).failed();
    assert!(
        text.contains("used up") && text.contains("joining failed"),
        "{text}"
    );
    assert!(!host.is_running());
}

#[test]
fn with_systemd_the_agent_is_a_unit() {
    let host = Host::new();
    fs::create_dir_all(host.path("root/run/systemd/system")).unwrap();
    fs::create_dir_all(host.path("root/etc/systemd/system")).unwrap();
    host.stub("systemctl", "#!/bin/sh\necho \"systemctl $*\" >>\"$CALLS\"\n");
    let text = host.run(&["ms1.good"]).ok();
    assert!(text.contains("systemctl status mainstay-agent"), "{text}");
    let unit = fs::read_to_string(host.path("root/etc/systemd/system/mainstay-agent.service")).unwrap();
    assert_eq!(unit, UNIT);
    let calls = host.calls();
    let at = |what: &str| calls.iter().position(|call| call.starts_with(what)).unwrap();
    assert!(
        at("systemctl stop") < at("agent join"),
        "the folder has one user: {calls:?}"
    );
    assert!(at("agent join") < at("systemctl restart"), "{calls:?}");
    // One that does not stay up is told of.
    host.stub("systemctl", "#!/bin/sh\n[ \"$1\" != is-active ]\n");
    let text = host.run(&["ms1.good"]).failed();
    assert!(text.contains("journalctl -u mainstay-agent"), "{text}");
}

#[test]
fn what_was_changed_on_the_way_is_not_installed() {
    let host = Host::new();
    fs::write(host.path("served/mainstay"), "#!/bin/sh\nevil\n").unwrap();
    let text = host.run(&["ms1.good"]).failed();
    assert!(
        text.contains("checksum") && text.contains("Nothing was installed"),
        "{text}"
    );
    assert!(
        !has_program(&host) && host.calls().len() == 1,
        "{:?}",
        host.calls()
    );
}

#[test]
fn a_program_that_does_not_run_here_is_not_installed() {
    let host = Host::with("#!/bin/sh\necho 'libgcc_s.so.1: cannot open shared object file' >&2\nexit 127\n");
    let text = host.run(&["ms1.good"]).failed();
    assert!(text.contains("does not run on this system: libgcc_s"), "{text}");
    assert!(!has_program(&host));
}

#[test]
fn a_host_that_cannot_run_it_is_told_before_anything_is_fetched() {
    let absent = "#!/bin/sh\nexit 1\n";
    let arch = "#!/bin/sh\ncase \"$1\" in -m) echo riscv64 ;; *) echo Linux ;; esac\n";
    let ldd = "#!/bin/sh\necho 'ldd (Ubuntu GLIBC 2.31-0ubuntu9.9) 2.31'\n";
    let cases: [(&[(&str, &str)], &str); 5] = [
        (
            &[("getconf", "#!/bin/sh\necho glibc 2.31\n")],
            "it has glibc 2.31 and the program needs 2.35",
        ),
        (
            &[("getconf", absent), ("ldd", ldd)],
            "it has glibc 2.31 and the program needs 2.35",
        ),
        (&[("getconf", absent), ("ldd", absent)], "Alpine"),
        (&[("uname", arch)], "this machine is riscv64"),
        (&[("uname", "#!/bin/sh\necho Darwin\n")], "this is Darwin"),
    ];
    for (stubs, expected) in cases {
        let host = Host::new();
        for (name, text) in stubs {
            host.stub(name, text);
        }
        // Before the token is looked at, too: a new one would be wasted on this host.
        for arguments in [&["ms1.good"][..], &[]] {
            let text = host.run(arguments).failed();
            assert!(text.contains(expected), "{text}");
        }
        assert!(host.calls().is_empty() && !has_program(&host));
    }
}

#[test]
fn newer_versions_of_glibc_will_do() {
    for version in ["2.35", "2.40", "3.0", "2.39.9000"] {
        let host = Host::new();
        host.stub("getconf", &format!("#!/bin/sh\necho glibc {version}\n"));
        host.run(&["ms1.good"]).ok();
    }
}

#[test]
fn mistakes_of_the_caller_are_told() {
    let host = Host::new();
    assert!(host.run(&[]).failed().contains("give the join token"));
    assert!(host.run(&["mst_abc"]).failed().contains("no join token"));
    host.stub("id", "#!/bin/sh\necho 1000\n");
    assert!(host.run(&["ms1.good"]).failed().contains("as root"));
    assert!(host.calls().is_empty());
}

#[test]
fn a_process_that_has_the_agents_old_number_is_left_alone() {
    let host = Host::new();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    fs::create_dir_all(host.path("root/run")).unwrap();
    fs::write(
        host.path("root/run/mainstay-agent.pid"),
        format!("{}\n", other.id()),
    )
    .unwrap();
    host.run(&["ms1.good"]).ok();
    assert!(other.try_wait().unwrap().is_none(), "it was ended");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(Path::new(&host.path("root/run/mainstay-agent.pid")).exists() && host.is_running());
}
