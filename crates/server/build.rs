//! Makes sure that there is a web page to put into the binary, so that the Rust side builds and tests without Node.js.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    if dist.join("index.html").exists() {
        return;
    }
    let page = "<!doctype html><meta charset=utf-8><title>Mainstay</title><p>This binary was built without the web page. \
        Run <code>make ui</code> and build again.</p>\n";
    let made = std::fs::create_dir_all(&dist).and_then(|()| std::fs::write(dist.join("index.html"), page));
    if let Err(error) = made {
        println!("cargo:warning=no web page: {}: {error}", dist.display());
    }
}
