//! Installed packages: dpkg's and apk's databases are read, rpm is asked.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use protocol::PackageFact;

use crate::collect::Roots;

/// Packages that are told of at most.
pub(crate) const MOST: usize = 20_000;

pub(crate) struct Packages {
    roots: Roots,
    stamp: Option<SystemTime>,
    last: Vec<PackageFact>,
}

impl Packages {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            roots: roots.clone(),
            stamp: None,
            last: Vec::new(),
        }
    }

    /// The packages of now; read again only when the database has changed.
    pub(crate) fn look(&mut self) -> Vec<PackageFact> {
        let databases = [
            "var/lib/dpkg/status",
            "lib/apk/db/installed",
            "var/lib/rpm",
            "usr/lib/sysimage/rpm",
        ];
        let found = databases.iter().find_map(|path| {
            let path = self.roots.root(path);
            let stamp = std::fs::metadata(&path).ok()?.modified().ok()?;
            Some((path, stamp))
        });
        let Some((path, stamp)) = found else {
            return Vec::new();
        };
        if self.stamp != Some(stamp) {
            self.last = self.read(&path);
            self.stamp = Some(stamp);
        }
        self.last.clone()
    }

    fn read(&self, path: &PathBuf) -> Vec<PackageFact> {
        let text = || String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let mut packages = match path.file_name().and_then(|name| name.to_str()) {
            Some("status") => parse_dpkg(&text()),
            Some("installed") => parse_apk(&text()),
            _ => parse_rpm(&self.ask_rpm()),
        };
        packages.sort_unstable_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
        packages
    }

    /// The database has several formats; rpm knows them all.
    fn ask_rpm(&self) -> String {
        let mut rpm = Command::new("timeout");
        rpm.args(["30", "rpm", "--root"]).arg(&self.roots.rootfs);
        rpm.args([
            "-qa",
            "--queryformat",
            "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\n",
        ]);
        let output = rpm.stdin(Stdio::null()).stderr(Stdio::null()).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    }
}

/// dpkg's status file: paragraphs, of which those that say `installed` count.
pub(crate) fn parse_dpkg(text: &str) -> Vec<PackageFact> {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let get = |key: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
                .map(str::trim)
                .unwrap_or_default()
        };
        let is_installed = get("Status").ends_with(" installed");
        (
            is_installed,
            fact(get("Package"), get("Version"), get("Architecture")),
        )
    });
    paragraphs
        .filter(|(is_installed, package)| *is_installed && !package.name.is_empty())
        .map(|(_, package)| package)
        .collect()
}

/// apk's database: paragraphs of one-letter fields.
pub(crate) fn parse_apk(text: &str) -> Vec<PackageFact> {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let get = |key: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default()
        };
        fact(get("P:"), get("V:"), get("A:"))
    });
    paragraphs.filter(|package| !package.name.is_empty()).collect()
}

fn parse_rpm(text: &str) -> Vec<PackageFact> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (name, version, architecture) = (fields.next()?, fields.next()?, fields.next()?);
        // Keys that were imported look like packages.
        (name != "gpg-pubkey")
            .then(|| fact(name, version.strip_prefix("0:").unwrap_or(version), architecture))
    });
    lines.collect()
}

fn fact(name: &str, version: &str, architecture: &str) -> PackageFact {
    PackageFact {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_of_three_kinds() {
        let dpkg = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\nDescription: x\n Version: 9\n\n\
                    Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n\n";
        assert_eq!(parse_dpkg(dpkg), vec![fact("a", "1:2-3", "amd64")]);
        assert_eq!(
            parse_apk("C:x\nP:musl\nV:1.2\nA:x86_64\n\n"),
            vec![fact("musl", "1.2", "x86_64")]
        );
        let rpm = "bash\t0:5.1-2\tx86_64\ngpg-pubkey\t0:1-1\t(none)\nvim\t2:9-1\tnoarch\nbroken\n";
        assert_eq!(
            parse_rpm(rpm),
            vec![fact("bash", "5.1-2", "x86_64"), fact("vim", "2:9-1", "noarch")]
        );
    }
}
