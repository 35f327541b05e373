#!/usr/bin/env bash
# Generates the secrets of docker-compose.yml into ./secrets, once: what exists is kept. Nothing is ever defaulted: without
# these files the stack does not start.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

# The folder keeps others on this machine out; the files must be readable for the users inside the containers.
mkdir -p secrets
chmod 700 secrets
umask 022
echo '*' >secrets/.gitignore

password_file=secrets/clickhouse-password
user_file=secrets/clickhouse-user.xml
if [[ -s "$password_file" && -s "$user_file" ]]; then
  echo "The secrets in ./secrets are kept; remove the folder and run this again to have new ones."
  exit 0
fi

command -v sha256sum >/dev/null || fail "sha256sum is not installed (Debian: coreutils)."
# 32 random bytes, in hexadecimal: no character that any configuration format would have to escape.
password="$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"
((${#password} == 64)) || fail "could not read 32 random bytes."

printf '%s' "$password" >"$password_file"
# ClickHouse is given the hash alone.
cat >"$user_file" <<EOF
<clickhouse>
  <users>
    <driftmill>
      <password_sha256_hex>$(printf '%s' "$password" | sha256sum | cut -d ' ' -f 1)</password_sha256_hex>
    </driftmill>
  </users>
</clickhouse>
EOF
echo "Secrets written to ./secrets (ignored by git)."
