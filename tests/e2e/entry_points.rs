//! What every way into the repository must do, because nothing else would say that it was forgotten.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{output, repository};

/// Every line of make, CI, image and scripts that has cargo compile something, with its file.
fn compiling() -> Vec<(String, String)> {
    let root = repository();
    let scripts = std::fs::read_dir(root.join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    let files = ["Makefile", "deploy/Dockerfile", ".ci/run"].map(|name| root.join(name)).into_iter().chain(scripts);
    let compiles = ["build", "test", "run", "bench", "check", "clippy", "doc"].map(|verb| format!("cargo {verb} "));
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| compiles.iter().any(|call| line.contains(call)));
        found.extend(lines.map(|line| (file.display().to_string(), line.trim().to_owned())));
    }
    found
}

#[test]
fn every_build_passes_over_the_compiler_version_that_the_broker_s_network_library_declares() {
    let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
    let flags = makefile.lines().find(|line| line.starts_with("CARGO_FLAGS :=")).unwrap();
    assert!(flags.contains("--ignore-rust-version"), "{flags}");
    let builds = compiling();
    assert!(builds.len() >= 6 && builds.iter().any(|(file, _)| file.ends_with("Dockerfile")), "{builds:?}");
    for (file, line) in builds {
        assert!(line.contains("$(CARGO_FLAGS)") || line.contains("--ignore-rust-version"), "{file}: {line}");
    }
}

#[test]
fn an_engine_that_is_not_the_pinned_one_is_thrown_away() {
    let home = tempfile::tempdir().unwrap();
    // A registry's client that delivers something else.
    let npm = home.path().join("bin/npm");
    std::fs::create_dir(home.path().join("bin")).unwrap();
    std::fs::write(&npm, "#!/bin/sh\necho something else >engine.tgz\n").unwrap();
    std::fs::set_permissions(&npm, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", npm.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let cache = home.path().join("cache");
    let mut fetch = Command::new(repository().join("scripts/fetch-engine.sh"));
    let output = output(fetch.env("PATH", path).env("XDG_CACHE_HOME", &cache));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is not the pinned one and was thrown away"), "{said}");
    let left: Vec<_> = std::fs::read_dir(cache.join("driftmill/engine")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
