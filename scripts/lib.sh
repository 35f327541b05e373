# shellcheck shell=bash
# Sourced by the other scripts: where things are cached, how progress and failures are told, how Debian packages are asked for.

# Everything fetched or built lands under one folder outside the clone, so that a second clone fetches and builds nothing.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/driftmill"
export cache

# Progress goes to standard error: standard output belongs to what a script answers.
step() {
  printf '==> %s\n' "$*" >&2
}

fail() {
  printf 'driftmill: %s\n' "$*" >&2
  exit 1
}

# version_at_least HAVE WANT: true if the dotted version HAVE is WANT or newer.
version_at_least() {
  [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]
}

# install_packages PACKAGE…: installs Debian packages as root; anybody else is told the exact command.
install_packages() {
  (($#)) || return 0
  if ! command -v apt-get >/dev/null; then
    fail "missing on this machine (by their Debian names): $*. Install them with your system's package manager, then run this again."
  fi
  if ((EUID != 0)); then
    fail "missing on this machine: $*. Install them with
    sudo apt-get update && sudo apt-get install --no-install-recommends $*
then run this again."
  fi
  step "Installing Debian packages: $*"
  local apt=(apt-get -q -o DPkg::Lock::Timeout=300)
  # apt talks on standard output, which is not ours to fill.
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" update >&2
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$@" >&2
}

# python_env NAME REQUIREMENTS TITLE: makes a Python environment NAME under the cache of what the file REQUIREMENTS pins, and
# prints its folder. Does nothing when it was made of this very file.
python_env() {
  local requirements="$2" folder="$cache/$1" stamp="$cache/$1.stamp" wanted
  wanted="$(sha256sum <"$requirements")"
  if [[ ! -f "$stamp" || "$wanted" != "$(cat "$stamp")" ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || fail "$3 needs Python with its venv module: run \`scripts/setup.sh python\`."
    step "Installing $3 with pip"
    rm -f "$stamp"
    mkdir -p "$(dirname "$folder")"
    # Each step is asked about by itself: in `$(…)`, where this is called, a failure does not end it.
    python3 -m venv --clear "$folder" >&2 || fail "no Python environment could be made in $folder."
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >&2 ||
      fail "pip could not install $requirements."
    printf '%s\n' "$wanted" >"$stamp"
  fi
  printf '%s\n' "$folder"
}

# work_beside TITLE: makes `work`, a folder that goes when the script ends, however it ends. With it goes the process group
# `beside`, which the caller sets; if the script failed, what that wrote to $work/log is shown as TITLE's last words.
work_beside() {
  work="$(mktemp -d)"
  beside=""
  # shellcheck disable=SC2064 # The title of now is meant.
  trap "work_is_over '$1'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

work_is_over() {
  local status=$?
  trap - EXIT
  if [[ -n "$beside" ]]; then
    kill -- "-$beside" 2>/dev/null || true
    # Who ends this script gives it half a minute.
    local tries
    for ((tries = 0; tries < 200; tries++)); do
      kill -0 -- "-$beside" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$beside" 2>/dev/null || true
    wait "$beside" 2>/dev/null || true
  fi
  if ((status != 0)) && [[ -s "$work/log" ]]; then
    step "The last words of $1"
    tail -n 30 "$work/log" >&2
  fi
  rm -rf "$work"
  exit "$status"
}

# fetch_with_maven POM HOME JAVA TITLE WANTED GOAL…: has Maven run GOAL of POM, in which DIR is the folder to fill, and keeps
# what it made as HOME, if WANTED is in it. Does nothing when HOME was made of this very POM.
fetch_with_maven() {
  local pom="$1" home="$2" java_wanted="$3" title="$4" wanted="$5"
  shift 5
  # The pom is kept beside what it named: what another pom named is not this.
  ! cmp -s "$pom" "$home/pom.xml" || return 0

  local java_version
  java_version="$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
  [[ -n "$java_version" ]] || fail "Java is not installed: run \`scripts/setup.sh kafka\`."
  ((java_version >= java_wanted)) || fail "Java $java_version is too old, $title needs $java_wanted or newer."

  step "Fetching $title with Maven"
  mkdir -p "$(dirname "$home")"
  # Staged beside its target, so that the last step is a rename: nobody ever sees half of it.
  local staging
  staging="$(mktemp -d "$(dirname "$home")/.fetch-XXXXXX")"
  # shellcheck disable=SC2064 # The folder of now is meant.
  trap "rm -rf '$staging'" EXIT
  trap 'exit 130' INT TERM
  local flags=(--strict-checksums)
  [[ -t 2 ]] || flags+=(--batch-mode --quiet -Dstyle.color=never)
  mvn "${flags[@]}" --file "$pom" "${@/DIR/$staging}" >&2
  [[ -e "$staging/$wanted" ]] || fail "Maven reported success but left no $wanted in $staging."
  cp "$pom" "$staging/pom.xml"
  chmod 755 "$staging"
  rm -rf "$home"
  mv -T "$staging" "$home"
}
