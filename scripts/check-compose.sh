#!/usr/bin/env bash
# Has a compose client read docker-compose.yml: Docker's plugin where there is one, else Debian's docker-compose. No engine runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  fail "no compose client is installed: run \`scripts/setup.sh check\`."
fi
"${compose[@]}" --file docker-compose.yml config --quiet

# Debian's old client accepts what it does not know inside a service, and nobody checks the files that are mounted: these do.
services="$("${compose[@]}" --file docker-compose.yml config --services | sort | tr '\n' ' ')"
wanted="clickhouse drift kafka process produce serve train "
[[ "$services" == "$wanted" ]] || fail "docker-compose.yml has the services $services, expected $wanted"
while read -r file; do
  [[ -e "$file" ]] || fail "docker-compose.yml mounts $file, which is not in this repository."
done < <(grep -oE '^ +- \./[^:]+' docker-compose.yml | sed 's/^ *- //')
