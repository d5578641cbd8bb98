//! From an action of the protocol to something that runs: a program, or an HTTP request.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use protocol::{Action, ServiceVerb};

use super::process::Program;
use super::user::{self, Account};
use crate::collect::Roots;

/// A program, and the private folder of its script that is removed with it.
pub(crate) struct Prepared {
    pub(crate) program: Program,
    _script: Option<ScriptFolder>,
}

/// Makes an action ready to run; the error is for people.
pub(crate) async fn prepare(action: &Action, roots: &Roots) -> Result<Prepared, String> {
    match action.clone() {
        Action::Exec {
            argv,
            env,
            cwd,
            user,
            stdin,
        } => {
            let account = account(user.as_deref()).await?;
            Ok(Prepared {
                program: Program {
                    argv,
                    env,
                    cwd,
                    account,
                    stdin,
                },
                _script: None,
            })
        }
        Action::Script {
            interpreter,
            script,
            args,
            env,
            user,
        } => {
            let account = account(user.as_deref()).await?;
            let folder = ScriptFolder::create(&script, account.as_ref())
                .map_err(|error| format!("failed to write the script to a private file: {error}"))?;
            let mut argv = match interpreter {
                Some(interpreter) => interpreter.split_ascii_whitespace().map(str::to_owned).collect(),
                None => shebang(&script)?.unwrap_or_else(|| vec!["/bin/sh".to_owned()]),
            };
            argv.push(folder.script().to_string_lossy().into_owned());
            argv.extend(args);
            Ok(Prepared {
                program: Program {
                    argv,
                    env,
                    account,
                    ..Program::default()
                },
                _script: Some(folder),
            })
        }
        Action::Service { name, verb } => {
            let argv = service(&name, verb, roots)?;
            Ok(Prepared {
                program: Program {
                    argv,
                    ..Program::default()
                },
                _script: None,
            })
        }
        Action::Http { .. } => Err("an HTTP request is not a program".to_owned()),
    }
}

/// What the first line of a script says runs it, as the kernel reads it: a program, and the rest of the line as one argument.
fn shebang(script: &str) -> Result<Option<Vec<String>>, String> {
    let Some(line) = script.lines().next().and_then(|line| line.strip_prefix("#!")) else {
        return Ok(None);
    };
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if !program.starts_with('/') {
        return Err(format!(
            "the first line of the script says that {program:?} runs it: that is not the path of a program"
        ));
    }
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
    Ok(Some(
        [program].into_iter().chain(argument).map(str::to_owned).collect(),
    ))
}

async fn account(user: Option<&str>) -> Result<Option<Account>, String> {
    let Some(user) = user else { return Ok(None) };
    let account = user::look_up(user).await?;
    let own = rustix::process::geteuid();
    if own.as_raw() != account.uid && !own.is_root() {
        return Err(format!(
            "the agent does not run as root and cannot become {user:?}"
        ));
    }
    Ok(Some(account))
}

/// The command line that does `verb` to a service, by whoever manages it here.
fn service(name: &str, verb: ServiceVerb, roots: &Roots) -> Result<Vec<String>, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(allowed) {
        return Err(format!("{name:?} is not the name of a service"));
    }
    let verb = match verb {
        ServiceVerb::Start => "start",
        ServiceVerb::Stop => "stop",
        ServiceVerb::Restart => "restart",
        ServiceVerb::Reload => "reload",
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if roots.root("run/systemd/system").is_dir() {
        return Ok(words(&["systemctl", "--no-ask-password", verb, "--", name]));
    }
    let script = roots.root("etc/init.d").join(name);
    if is_executable(&script) {
        return Ok(words(&[&script.to_string_lossy(), verb]));
    }
    Err(format!(
        "nothing on this host can {verb} {name:?}: there is no systemd and no {}; use a script step instead",
        script.display()
    ))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A folder that only the user of the script can enter, with the script in it.
struct ScriptFolder(PathBuf);

impl ScriptFolder {
    fn create(script: &str, account: Option<&Account>) -> std::io::Result<Self> {
        let name = format!("mainstay-{:032x}", rand::random::<u128>());
        let folder = Self(std::env::temp_dir().join(name));
        // Fails when the name exists, so nobody can prepare it for us.
        fs::DirBuilder::new().mode(0o700).create(&folder.0)?;
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o700)
            .open(folder.script())?;
        file.write_all(script.as_bytes())?;
        if let Some(account) = account {
            std::os::unix::fs::chown(folder.script(), Some(account.uid), Some(account.gid))?;
            std::os::unix::fs::chown(&folder.0, Some(account.uid), Some(account.gid))?;
        }
        Ok(folder)
    }

    fn script(&self) -> PathBuf {
        self.0.join("script")
    }
}

impl Drop for ScriptFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "failed to remove a script");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn services_by_manager() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            rootfs: dir.path().to_owned(),
            ..Roots::default()
        };
        let error = service("nginx", ServiceVerb::Stop, &roots).unwrap_err();
        assert!(
            error.contains("cannot") || error.contains("nothing on this host can stop"),
            "{error}"
        );
        let script = dir.path().join("etc/init.d/nginx");
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            service("nginx", ServiceVerb::Stop, &roots).unwrap(),
            [script.to_str().unwrap(), "stop"]
        );
        fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
        let argv = service("nginx.service", ServiceVerb::Reload, &roots).unwrap();
        assert_eq!(
            argv,
            ["systemctl", "--no-ask-password", "reload", "--", "nginx.service"]
        );
        for name in ["", "--now", "../evil", "a b", "a;b"] {
            assert!(service(name, ServiceVerb::Start, &roots).is_err(), "{name}");
        }
    }

    #[test]
    fn the_first_line_says_what_runs_a_script() {
        let read = |script: &str| shebang(script).unwrap().map(|argv| argv.join("|"));
        assert_eq!(read("echo x"), None);
        assert_eq!(read(" #!/bin/bash"), None);
        assert_eq!(read("#!/bin/bash\necho").as_deref(), Some("/bin/bash"));
        assert_eq!(
            read("#! /bin/bash -eu -o pipefail \r\n").as_deref(),
            Some("/bin/bash|-eu -o pipefail")
        );
        assert_eq!(
            read("#!/usr/bin/env python3\n").as_deref(),
            Some("/usr/bin/env|python3")
        );
        assert!(shebang("#!python3\n").is_err() && shebang("#!\n").is_err());
    }

    #[test]
    fn a_script_is_private_and_goes_with_its_folder() {
        let folder = ScriptFolder::create("echo", None).unwrap();
        let path = folder.script();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
