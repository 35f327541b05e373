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

environment="$(python_env onnx crates/onnx/tests/runtime/requirements.txt "ONNX Runtime, scikit-learn and skl2onnx")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$environment/bin/python" crates/onnx/tests/runtime/check.py "$1" "$work"
