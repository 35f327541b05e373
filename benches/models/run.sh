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

requirements="benches/models/peers/requirements.txt"
folder="$cache/bench/models"
stamp="$cache/bench/models.stamp"
if [[ ! -f "$stamp" || "$(sha256sum <"$requirements")" != "$(cat "$stamp")" ]]; then
  step "Installing scikit-learn, LightGBM and XGBoost with pip"
  mkdir -p "$cache/bench"
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --quiet --requirement "$requirements" >&2
  sha256sum <"$requirements" >"$stamp"
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
arguments=(--bin "$1" --work "$work/rows" --out "${OUT:-target/bench-models}")
[[ -z "${SIZES:-}" ]] || arguments+=(--sizes "$SIZES")
[[ -z "${THREADS:-}" ]] || arguments+=(--threads "$THREADS")
[[ -z "${REPETITIONS:-}" ]] || arguments+=(--repetitions "$REPETITIONS")
"$folder/bin/python" benches/models/bench.py "${arguments[@]}"
