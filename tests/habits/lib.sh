# lib.sh: what the habits share. MP_SOURCE is the project's folder.
# shellcheck shell=bash
set -euo pipefail
cd "$MP_SOURCE"

# need COMMAND...: or skip. deploy/install-packages.sh test installs all of them.
need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || {
            echo "SKIP: no $command; deploy/install-packages.sh test installs it"
            exit 77
        }
    done
}

# files SUFFIX...: the project's files that end so, NUL-terminated; build folders are not its.
files() {
    local suffix
    for suffix in "$@"; do
        find . \( -path './.git' -o -path './build*' \) -prune -o -type f -name "*$suffix" -print0
    done
}
