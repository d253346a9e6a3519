#!/bin/bash
# Installs the Debian packages of the given lists that are missing. Quick and silent when none is.
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
    exit 0 # not Debian: cmake will say what it misses
fi

missing=()
while IFS=: read -r package command; do
    if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then missing+=("$package"); fi
done < <(grep -hv -e '^#' -e '^$' "$@")

[ ${#missing[@]} -gt 0 ] || exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "Install these packages as root, then try again: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
