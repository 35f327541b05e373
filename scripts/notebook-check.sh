#!/usr/bin/env bash
# Runs docs/notebook/driftmill.ipynb top to bottom against a stack of its own.
#
#   scripts/notebook-check.sh DRIFTMILL [SAVE]
#
# DRIFTMILL is the built program. Starts `driftmill up` with pipeline `iris` on free ports and a folder of its own, sends a
# record that becomes a dead letter and flowers that drift, waits for the second model, and has docs/notebook/check.py run
# the notebook. SAVE is where to write it with its outputs. Everything is stopped in the end, also after a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
(($# == 1 || $# == 2)) || {
  echo "usage: notebook-check.sh DRIFTMILL [SAVE]" >&2
  exit 2
}
# Settings of the caller, such as another ClickHouse, are not meant here.
unset "${!DRIFTMILL_@}"
DRIFTMILL_BIN="$(realpath "$1")"
export DRIFTMILL_BIN
environment="$(python_env notebook docs/notebook/requirements.txt "Jupyter and what the notebook imports")"

work_beside "driftmill up"

# wait_for WHAT PATTERN: until the newest line of status has PATTERN.
wait_for() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    ! tail -n 1 "$work/status" | grep -Eq "$2" || return 0
    kill -0 "$beside" 2>/dev/null || fail "driftmill up ended while it was waited for $1"
    sleep 0.5
  done
  fail "there is no $1 after five minutes"
}

export DRIFTMILL_DATA_DIR="$work/data" DRIFTMILL_PIPELINES="$work/pipelines"
# What is asked is on this machine: no proxy stands before it.
export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"
mkdir "$DRIFTMILL_PIPELINES"
cp -r pipelines/iris "$DRIFTMILL_PIPELINES/"

step "Starting driftmill up with pipeline iris"
set -m
"$DRIFTMILL_BIN" up --json --broker-port 0 --clickhouse-port 0 --gateway-listen 127.0.0.1:0 >"$work/status" 2>"$work/log" &
beside=$!
set +m
wait_for "first model" '"champion":1\b'
DRIFTMILL_GATEWAY_LISTEN="$(sed -n '1s|.*"gateway":"http://\([^"]*\)".*|\1|p' "$work/status")"
export DRIFTMILL_GATEWAY_LISTEN

step "Sending flowers that drift, and one that cannot be"
curl -sS --fail "http://$DRIFTMILL_GATEWAY_LISTEN/api/v1/pipelines/iris/records" -H 'content-type: application/x-ndjson' >&2 \
  --data '{"sepal_length": 51, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": "setosa"}'
"$DRIFTMILL_BIN" produce iris --source shifted >&2
wait_for "dead letter" '"dead_letters":1\b'
wait_for "second model" '"champion":[2-9]'
wait_for "end of the stream" '"records":4151,"lag":0'

step "Running the notebook"
"$environment/bin/python" docs/notebook/check.py "${@:2}"
