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
