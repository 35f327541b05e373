#!/usr/bin/env bash
# Fetches the ClickHouse engine that crates/embedded loads: one npm package, pinned by version and checksum in
# crates/embedded/engine/pin.json. It lands in <cache>/driftmill/engine/<version>/, where <cache> is $XDG_CACHE_HOME or
# ~/.cache. Nothing of the package is run, and a second run does nothing.
set -euo pipefail

pin="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/crates/embedded/engine/pin.json"

fail() {
  echo "fetch-engine: $*" >&2
  exit 1
}

for tool in node npm tar; do
  command -v "$tool" >/dev/null || fail "\`$tool\` is not installed; it is needed to fetch the ClickHouse engine"
done
[[ "$(uname -s)-$(uname -m)" == "Linux-x86_64" ]] ||
  fail "the pinned engine is built for Linux on x86-64, this is $(uname -s) on $(uname -m)"

# One line a field, in this order.
{
  read -r package
  read -r version
  read -r integrity
  read -r tarball_bytes
  read -r library
  read -r library_bytes
} < <(node -e '
  const pin = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
  const fields = ["package", "version", "integrity", "tarball_bytes", "library", "library_bytes"];
  console.log(fields.map((field) => pin[field]).join("\n"));' "$pin")

home="${XDG_CACHE_HOME:-$HOME/.cache}/driftmill/engine"
target="$home/$version"
if [[ -f "$target/$library" ]]; then
  echo "ClickHouse engine $version is already in $target"
  exit 0
fi

mkdir -p "$home"
# The tarball, npm's private copy of it and what it unpacks to exist side by side for a moment.
needed_kib=$(((2 * tarball_bytes + library_bytes) / 1024))
free_kib="$(df -Pk "$home" | awk 'NR == 2 { print $4 }')"
((free_kib > needed_kib)) ||
  fail "$home has $((free_kib / 1024)) MiB free, fetching the ClickHouse engine needs $((needed_kib / 1024)) MiB"

# Staged beside its target, so that the last step is a rename: nobody ever sees half an engine.
staging="$(mktemp -d "$home/.fetch-XXXXXX")"
npm_pid=""
cleanup() {
  [[ -z "$npm_pid" ]] || kill "$npm_pid" 2>/dev/null || true
  rm -rf "$staging"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

total_mib=$((tarball_bytes / 1048576))
echo "Fetching the ClickHouse engine ($package $version, $total_mib MiB) with npm"
# A private npm cache: it shows how far the download is, and leaves no second copy in the user's own.
(cd "$staging" && exec npm pack --loglevel=error --ignore-scripts --cache "$staging/npm-cache" "$package@$version") \
  >"$staging/npm.out" 2>"$staging/npm.err" &
npm_pid=$!
seconds=0
while kill -0 "$npm_pid" 2>/dev/null; do
  sleep 1
  seconds=$((seconds + 1))
  if ((seconds % 3 == 0)); then
    got_mib=$(($(du -sk "$staging/npm-cache" 2>/dev/null | cut -f1 || echo 0) / 1024))
    echo "  $((got_mib < total_mib ? got_mib : total_mib)) of $total_mib MiB"
  fi
done
wait "$npm_pid" || {
  npm_pid=""
  fail "npm could not fetch $package@$version: $(tail -n 5 "$staging/npm.err")"
}
npm_pid=""

echo "Verifying its checksum"
tarball="$(find "$staging" -maxdepth 1 -name '*.tgz')"
[[ -f "$tarball" ]] || fail "npm reported success but left no package in $staging"
actual="sha512-$(node -e '
  const hash = require("crypto").createHash("sha512");
  fs.createReadStream(process.argv[1]).on("data", (chunk) => hash.update(chunk)).on("end", () => {
    process.stdout.write(hash.digest("base64"));
  });' "$tarball")"
[[ "$actual" == "$integrity" ]] || fail "the package is not the pinned one and was thrown away:
  expected $integrity
  received $actual"

echo "Unpacking it ($((library_bytes / 1048576)) MiB)"
mkdir "$staging/engine"
tar -xzf "$tarball" -C "$staging/engine" --strip-components=1 "package/$library" package/package.json
[[ "$(stat -c %s "$staging/engine/$library")" == "$library_bytes" ]] ||
  fail "$library has $(stat -c %s "$staging/engine/$library") bytes instead of $library_bytes"

# Another run may have finished first; then its copy is the same one, and ours goes.
if mv -T "$staging/engine" "$target" 2>/dev/null || [[ -f "$target/$library" ]]; then
  echo "ClickHouse engine $version is ready in $target"
else
  fail "cannot move the engine to $target"
fi
