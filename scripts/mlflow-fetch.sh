#!/usr/bin/env bash
# Makes a Python environment with a real MLflow, for tests, and prints its folder. Does nothing when it is there already.
#
#   scripts/mlflow-fetch.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

python_env mlflow/env crates/mlflow/tests/server/requirements.txt MLflow
