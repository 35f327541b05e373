#!/usr/bin/env bash
# Runs the pinned cargo-deny with the given arguments; builds it into the cache first if it is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

version=0.20.2
root="$cache/tools/cargo-deny-$version"
if [[ ! -x "$root/bin/cargo-deny" ]]; then
  step "Building cargo-deny $version (one to two minutes, once)"
  # Without optimization it is built in half the time, and still checks this graph in seconds.
  CARGO_TARGET_DIR="$root/target" cargo install --locked --debug --no-default-features --root "$root" --version "$version" cargo-deny
  rm -rf "$root/target"
fi
exec "$root/bin/cargo-deny" "$@"
