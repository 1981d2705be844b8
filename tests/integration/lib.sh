# lib.sh: what the scripts share. Source it; it makes a folder, ends what was started, and
# fails the test if anything of ours is left behind.
# shellcheck shell=bash
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/mp-test-XXXXXX")
cd "$work"
started=()
checks=0
slower=1 # by so much with a sanitizer
[ -z "${MP_SANITIZE:-}" ] || slower=5
unset MP_BROKER

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# ok COMMAND...: it must succeed.
ok() {
    checks=$((checks + 1))
    "$@" || fail "$*"
}

# status N COMMAND...: it must exit with N. Output in out and err.
status() {
    local wanted=$1 got=0
    shift
    checks=$((checks + 1))
    "$@" >out 2>err || got=$?
    [ "$got" = "$wanted" ] || fail "exit status $got, not $wanted: $*
$(head -c 2000 err)"
}

# says FILE PATTERN: a line of the file matches.
says() {
    checks=$((checks + 1))
    grep -q -e "$2" "$1" || fail "$1 does not say '$2': $(head -c 2000 "$1")"
}

# same FILE FILE
same() {
    checks=$((checks + 1))
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# wait_for COMMAND...: until it succeeds, 20 s at most (without a sanitizer).
wait_for() {
    local deadline=$((SECONDS + slower * 20))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

alive() { [ -e "/proc/$1" ] && ! grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null; }
gone() { ! alive "$1"; }

# background NAME COMMAND...: its output in NAME.out and NAME.err, its pid in $pid.
background() {
    local name=$1
    shift
    "$@" >"$name.out" 2>"$name.err" </dev/null &
    pid=$!
    started+=("$pid")
}

# start_broker [OPTION]...: sets url and broker.
start_broker() {
    background broker "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' "$@"
    broker=$pid
    wait_for grep -q '^ready ' broker.out
    url=$(sed -n 's/^ready //p' broker.out)
}

# start_worker NAME [OPTION]...: sets worker.
start_worker() {
    local name=$1
    shift
    background "$name" "$MP_WORKER_BIN" --broker "$url" "$@"
    worker=$pid
    wait_for grep -q '^ready ' "$name.out"
}

# children NAME PID: pids of the processes called NAME whose ancestor PID is.
children() {
    local name=$1 parent=$2 child
    for child in $(ps -o pid= --ppid "$parent" || true); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" != "$name" ] || echo "$child"
        children "$name" "$child"
    done
}

# first_child NAME PID: one of them.
first_child() {
    local all
    all=$(children "$@")
    [ -n "$all" ] || fail "$2 has no child called $1"
    echo "${all%%$'\n'*}"
}

# kill_at_work PID: kill -9 a process that has a child, at a moment when it has one.
kill_at_work() {
    until kill -STOP "$1" && pgrep -P "$1" >/dev/null; do
        kill -CONT "$1"
        sleep 0.01
    done
    kill -KILL "$1"
}

# ends PID: within a minute and a half (without a sanitizer); what it and the others said, if it doesn't.
ends() {
    local deadline=$((SECONDS + slower * 90))
    while alive "$1"; do
        [ $SECONDS -lt $deadline ] || fail "process $1 goes on and on: $(tr '\0' ' ' <"/proc/$1/cmdline")
$(timeout 5 "$MP" ping --broker "${url:-none}" 2>&1)
$(tail -n 5 ./*.err)"
        sleep 0.02
    done
}

# exits PID STATUS: it must end so.
exits() {
    local got=0
    checks=$((checks + 1))
    ends "$1"
    wait "$1" || got=$?
    [ "$got" = "$2" ] || fail "process $1 ended with $got, not $2
$(tail -n 5 ./*.err)"
}

# leftovers: pids of what runs in our folder, but this script.
leftovers() {
    local pid
    for pid in $({ find /proc -maxdepth 2 -name cwd -lname "$work*" 2>/dev/null || true; } |
        cut -d/ -f3); do
        if [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && alive "$pid"; then echo "$pid"; fi
    done
}

# What is to be done when all that was started has ended: for others to redefine.
tear_down() { :; }

finish() {
    local result=$? pid left
    trap - EXIT
    for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do
        timeout 10 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    left=$(leftovers)
    if [ $result = 0 ] && [ -n "$left" ]; then
        sleep 1 # what was killed a moment ago is still being taken down
        left=$(leftovers)
        for pid in $left; do
            echo "FAIL: left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
            result=1
        done
    fi
    for pid in $left; do kill -KILL "$pid" 2>/dev/null || true; done
    tear_down
    cd /
    rm -rf "$work"
    [ $result != 0 ] || echo "$checks checks passed"
    exit $result
}
trap finish EXIT
# What ends a script without a word of its own names itself.
set -E
trap 'echo "FAIL: $(basename "$0") line $LINENO: $BASH_COMMAND" >&2' ERR
