#!/usr/bin/env bash
# Runs one real MLflow server in the foreground, for tests, on loopback only: runs and models in SQLite, files in a folder,
# both in DIR, and files go through the server.
#
#   scripts/mlflow-server.sh DIR PORT
#
# Started again on the same DIR, it finds what it had. Its log is its standard error. The shell replaces itself: this process
# id is the server's. DRIFTMILL_TEST_MLFLOW_HOME names the folder printed by scripts/mlflow-fetch.sh (asked if unset).
set -euo pipefail
(($# == 2)) || {
  echo "usage: mlflow-server.sh DIR PORT" >&2
  exit 2
}
home="${DRIFTMILL_TEST_MLFLOW_HOME:-$("$(dirname "${BASH_SOURCE[0]}")/mlflow-fetch.sh")}"
[[ -x "$home/bin/mlflow" ]] || {
  echo "mlflow-server.sh: no MLflow in $home: run scripts/mlflow-fetch.sh" >&2
  exit 1
}
mkdir -p "$1"
cd "$1"
# Nothing is told to anybody, and nothing is left in the home folder.
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
exec "$home/bin/mlflow" server --host 127.0.0.1 --port "$2" --workers 1 --backend-store-uri "sqlite:///$PWD/mlflow.db" \
  --artifacts-destination "$PWD/files" >&2
