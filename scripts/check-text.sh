#!/usr/bin/env bash
# Holds tracked files free of what belongs to one machine: paths of somebody's home or work folder, addresses of package
# registries and their mirrors (clients know them by themselves), private keys.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

found=0
# refuse WHY PATTERN: every match of PATTERN in a tracked file is a fault. Cargo.lock names its registry by design.
refuse() {
  if git grep --untracked -nIE -e "$2" -- . ':!Cargo.lock' >&2; then
    echo "driftmill: $1 (above)" >&2
    found=1
  fi
}

refuse "paths of one machine" "(^|[^[:alnum:]_.\$}/~-])/(root|work)/"
# A home that is the root folder would match everything.
[[ "$HOME" == / ]] || refuse "paths of this machine" "$(printf '%s' "$HOME/" | sed 's/[][\\.*^$+?(){}|]/\\&/g')"
refuse "addresses of a package registry or mirror" 'https?://(registry|repo|deb|security|snapshot|static|index|files|proxy|mirror)[0-9]*[.-]'
refuse "a private key" '-----BEGIN ([A-Z]+ )?PRIVATE KEY-----'
exit "$found"
