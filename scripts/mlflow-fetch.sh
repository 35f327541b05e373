#!/usr/bin/env bash
# Makes a Python environment with a real MLflow, for tests, and prints its folder. Does nothing when it is there already.
#
#   scripts/mlflow-fetch.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

requirements="crates/mlflow/tests/server/requirements.txt"
folder="$cache/mlflow/env"
stamp="$cache/mlflow/stamp"
if [[ ! -f "$stamp" || "$(sha256sum <"$requirements")" != "$(cat "$stamp")" ]]; then
  command -v python3 >/dev/null || fail "Python is not installed: it takes python3 with its venv module to run an MLflow server."
  step "Installing MLflow with pip"
  rm -f "$stamp"
  mkdir -p "$cache/mlflow"
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >&2
  sha256sum <"$requirements" >"$stamp"
fi
printf '%s\n' "$folder"
