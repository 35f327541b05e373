#!/usr/bin/env bash
# Builds the peers into <cache>/driftmill/bench and prints that folder: Redpanda Connect by the Go tool, Quix Streams by pip
# in a virtual environment. Versions are pinned beside each peer. A peer whose tool is missing is left out, and said so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

peers="$PWD/benches/ingest/peers"
folder="$cache/bench"
mkdir -p "$folder"

# current STAMP FILE…: whether STAMP was made of these files as they are now.
current() {
  [[ -f "$1" && "$(cat "${@:2}" | sha256sum)" == "$(cat "$1")" ]]
}

stamp() {
  cat "${@:2}" | sha256sum >"$1"
}

go_files=("$peers"/redpanda-connect/{go.mod,go.sum,main.go})
if ! command -v go >/dev/null; then
  step "Redpanda Connect is left out: it needs Go"
elif ! current "$folder/redpanda-connect.stamp" "${go_files[@]}"; then
  step "Building Redpanda Connect with Go (some minutes the first time)"
  (cd "$peers/redpanda-connect" && go build -o "$folder/redpanda-connect" .) >&2
  stamp "$folder/redpanda-connect.stamp" "${go_files[@]}"
fi

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  step "Quix Streams is left out: it needs Python with venv"
else
  python_env bench/quix "$peers/quix/requirements.txt" "Quix Streams" >/dev/null
fi
echo "$folder"
