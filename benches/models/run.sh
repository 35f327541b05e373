#!/usr/bin/env bash
# Runs the benchmark of the models; `make bench-models` builds first and calls this.
#
#   benches/models/run.sh BENCH_MODELS
#
# Settings of the environment: SIZES, THREADS, REPETITIONS, OUT (see README.md beside this file).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
(($# == 1)) || {
  echo "usage: run.sh BENCH_MODELS" >&2
  exit 2
}

environment="$(python_env bench/models benches/models/peers/requirements.txt "scikit-learn, LightGBM and XGBoost")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
arguments=(--bin "$1" --work "$work/rows" --out "${OUT:-target/bench-models}")
[[ -z "${SIZES:-}" ]] || arguments+=(--sizes "$SIZES")
[[ -z "${THREADS:-}" ]] || arguments+=(--threads "$THREADS")
[[ -z "${REPETITIONS:-}" ]] || arguments+=(--repetitions "$REPETITIONS")
"$environment/bin/python" benches/models/bench.py "${arguments[@]}"
