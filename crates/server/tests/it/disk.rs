//! File systems of a size of their own, mounted for one test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ext4 file system on a loop device; gone with its value.
pub struct Disk {
    point: PathBuf,
    image: PathBuf,
}

fn did(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .status()
        .is_ok_and(|status| status.success())
}

impl Disk {
    /// `None`, with the reason printed, where mounting is not allowed: a container, or a user who is not root.
    pub fn mounted(point: &Path, megabytes: u32) -> Option<Disk> {
        let (point, image) = (point.to_owned(), point.with_extension("img"));
        std::fs::create_dir_all(&point).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(u64::from(megabytes) << 20).unwrap();
        let shown = image.display().to_string();
        // No blocks kept back for root, who would not find the disk full.
        let is_made = did("mkfs.ext4", &["-q", "-m", "0", &shown])
            && did("mount", &["-o", "loop", &shown, &point.display().to_string()]);
        if !is_made {
            let reason = "left out: this machine does not let the test mount a file system";
            let _ = writeln!(std::io::stderr(), "{reason}");
            return None;
        }
        Some(Disk { point, image })
    }

    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Takes all the room but `spare` bytes; gives the file that holds it.
    pub fn fill(&self, spare: u64) -> PathBuf {
        let path = self.point.join("filler");
        let block = vec![0u8; 64 << 10];
        let mut file = std::fs::File::create(&path).unwrap();
        let mut taken = 0;
        while file.write_all(&block).is_ok() {
            taken += block.len() as u64;
        }
        file.set_len(taken.saturating_sub(spare)).unwrap();
        path
    }

    /// What the kernel does to a file system that fails under it: from now on it is read-only.
    pub fn abort(&self) {
        assert!(did(
            "mount",
            &["-o", "remount,abort", &self.point.display().to_string()]
        ));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        did("umount", &["-l", &self.point.display().to_string()]);
        let _ = std::fs::remove_file(&self.image);
    }
}
