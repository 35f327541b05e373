# shellcheck shell=bash
# To be sourced: points `driftmill` and the function `sql` to what `make run` started in this folder.
# `source scripts/local-env.sh [DATA_FOLDER]`

_data=$(realpath "${1:-.driftmill}")
if [[ ! -r $_data/clickhouse-credentials ]]; then
    echo "nothing runs in $_data: start it with 'make run'" >&2
else
    _line() { sed -n "s/^$1=//p" "$_data/clickhouse-credentials"; }
    DRIFTMILL_CLICKHOUSE_URL=$(_line CLICKHOUSE_URL)
    export DRIFTMILL_CLICKHOUSE_URL
    export DRIFTMILL_CLICKHOUSE_PASSWORD_FILE=$_data/clickhouse.password
    export DRIFTMILL_OBJECT_STORE=file://$_data/objects
    unset -f _line

    # Runs a query; the password goes by a header that is read from a file, not by the command line.
    sql() {
        curl -sS "${DRIFTMILL_CLICKHOUSE_URL%/}/?database=driftmill&default_format=PrettyCompactMonoBlock" \
            -H 'X-ClickHouse-User: driftmill' \
            -H "@"<(printf 'X-ClickHouse-Key: %s' "$(cat "$DRIFTMILL_CLICKHOUSE_PASSWORD_FILE")") \
            --data-binary "$1"
    }
fi
unset _data
