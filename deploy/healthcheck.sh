#!/usr/bin/env bash
# healthcheck PORT PATH: succeeds if an HTTP GET of PATH on this container's PORT is answered by 200. The image has no HTTP client.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
read -r -t 5 _ status _ <&3
[[ "$status" == 200 ]]
