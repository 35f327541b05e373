#!/usr/bin/env bash
# Compares our models and ONNX Runtime's answers both ways: ours exported, and scikit-learn's imported.
#
#   scripts/onnx-check.sh EXCHANGE
#
# EXCHANGE is the built example `exchange` of crates/onnx. Prints a table of the largest differences; exit status 1 when one
# is above 1e-6.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
(($# == 1)) || {
  echo "usage: onnx-check.sh EXCHANGE" >&2
  exit 2
}

requirements="crates/onnx/tests/runtime/requirements.txt"
folder="$cache/onnx"
stamp="$cache/onnx.stamp"
if [[ ! -f "$stamp" || "$(sha256sum <"$requirements")" != "$(cat "$stamp")" ]]; then
  step "Installing ONNX Runtime, scikit-learn and skl2onnx with pip"
  mkdir -p "$cache"
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --quiet --requirement "$requirements" >&2
  sha256sum <"$requirements" >"$stamp"
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$folder/bin/python" crates/onnx/tests/runtime/check.py "$1" "$work"
