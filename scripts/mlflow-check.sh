#!/usr/bin/env bash
# Mirrors runs to a real MLflow server, and has MLflow's own client read them.
#
#   scripts/mlflow-check.sh [COMMAND…]
#
# DRIFTMILL_TEST_MLFLOW_HOME names a Python environment with another version of MLflow than scripts/mlflow-fetch.sh makes.
# Starts a server on a free port and a folder of its own, runs COMMAND (by default the tests of crates/mlflow) with
# DRIFTMILL_TEST_MLFLOW_URL, then crates/mlflow/tests/server/check.py, and stops the server. The exit code tells; nothing is
# left behind but the environment that scripts/mlflow-fetch.sh keeps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
(($#)) || set -- cargo test --release --ignore-rust-version --package driftmill-mlflow --test mlflow

DRIFTMILL_TEST_MLFLOW_HOME="${DRIFTMILL_TEST_MLFLOW_HOME:-$(scripts/mlflow-fetch.sh)}"
export DRIFTMILL_TEST_MLFLOW_HOME
python="$DRIFTMILL_TEST_MLFLOW_HOME/bin/python"
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
work_beside "the MLflow server"

step "Starting an MLflow server on port $port"
# In a process group of its own: not every version passes it on to its workers that it is stopped.
set -m
scripts/mlflow-server.sh "$work/server" "$port" 2>"$work/log" &
beside=$!
set +m
export DRIFTMILL_TEST_MLFLOW_URL="http://127.0.0.1:$port"
# The server is on this machine: no proxy stands before it.
export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"
answers="import urllib.request; urllib.request.urlopen('$DRIFTMILL_TEST_MLFLOW_URL/health', timeout=5)"
for ((tries = 0; ; tries++)); do
  ! "$python" -c "$answers" 2>/dev/null || break
  kill -0 "$beside" 2>/dev/null || fail "the MLflow server ended while it was starting"
  ((tries < 240)) || fail "the MLflow server does not answer on port $port after two minutes"
  sleep 0.5
done

"$@"
step "Reading it with MLflow's client"
"$python" crates/mlflow/tests/server/check.py "$DRIFTMILL_TEST_MLFLOW_URL" >&2
