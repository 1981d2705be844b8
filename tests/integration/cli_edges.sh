#!/usr/bin/env bash
# mp where its descriptors are closed, full, stalled or endless, and where it is stopped.
. "$(dirname "$0")/lib.sh"

# -- descriptors that can't be used
status 4 bash -c "'$MP' --help >/dev/full"
says err '^mp: stdout: No space'
status 4 bash -c "'$MP' --version >&-"
status 4 bash -c "seq 3 | '$MP' map -- echo >&-"
says err '^mp: stdout: Bad file descriptor'
status 3 bash -c "'$MP' map -- echo <&-"
says err '^mp: stdin: Bad file descriptor'
status 3 bash -c "'$MP' map -- echo </"
says err '^mp: stdin: Is a directory'
seq 3 >numbers
ok bash -c "'$MP' map -- echo <numbers 2>&- >got"
same got numbers
status 0 bash -c "seq 100000 | { '$MP' map -- echo; echo \$? >&3; } 3>left | head -n 1"
says left '^141$'

# -- wrong words
status 2 "$MP" map --broker nonsense -- true
says err '^mp: nonsense: '
status 2 "$MP" ping --broker local
status 2 env MP_BROKER=tcp://127.0.0.1:1 "$MP" map -j 2 -- true
says err 'MP_BROKER'
status 2 "$MP" help nonsense
status 0 "$MP" help ping
says out '--timeout-ms'

# -- options between words, and behind them, whatever the environment says
for posix in '' 1; do
    correct() { env -u POSIXLY_CORRECT ${posix:+POSIXLY_CORRECT=1} "$MP" "$@"; }
    status 0 correct shm ls --json
    status 2 correct shm -- ls --json
    status 0 correct map echo --json <<<x
    says out '^--json x$'
    status 0 correct map sh -c 'echo "${POSIXLY_CORRECT:-none}"' <<<x
    says out "^${posix:-none}\$"
done

# -- only lines that can't be run
printf 'a\0\nb\0\n' >nuls
for order in --unordered --keep-going; do
    status 1 "$MP" map $order -- echo <nuls
    says err 'line 2: "b\\x00": the line contains a NUL byte'
    says err '2 of 2 lines failed'
done
status 1 "$MP" map --json -- echo <nuls
says out '"status":"rejected"'

# -- short runs end, each of them: no outcome is slept through
for run in $(seq 60); do
    seq "$run" | timeout 20 "$MP" map -j 2 -- true || fail "run $run did not end well"
done
checks=$((checks + 1))

# -- nobody reads: it can be stopped all the same, and the log is not ahead of the results
mkfifo results
: >log
exec 8<>results
background stalled bash -c "yes | exec '$MP' map --joblog log -- sh -c 'head -c 5000 /dev/zero' >results"
map() { ps -o pid=,comm= --ppid "$pid" | awk '$2 == "mp" { print $1 }'; }
logged() { grep -c $'\tok\t' log || true; }
enough() { [ "$(logged)" -ge 5 ]; }
wait_for enough
kill -TERM "$(map)"
exits "$pid" 143
says stalled.err '^mp: terminated: [0-9]* lines done$'
ok timeout 10 head -c $((5000 * $(logged))) <&8 >got
exec 8>&-

# -- how much is left is told where it is known
seq 40 >numbers.40
background counted bash -c "exec '$MP' map -j 2 --progress --shell -- \
    '[ {} -le 20 ] || exec sleep 60; echo {}' <numbers.40"
wait_for grep -qs '^20$' counted.out
wait_for grep -q '20/40  50%' counted.err
kill -TERM "$pid"
exits "$pid" 143
says counted.err 'mp: terminated: 20 of 40 done$'

# -- input without an end takes no memory: its writer has to wait
for progress in --no-progress --progress; do
    background endless bash -c "yes '' | exec '$MP' map -j 1 $progress -- sh -c 'sleep 60'"
    writer() { pgrep -P "$pid" -x yes; }
    blocked() { # it waits, and has not worked in between
        local before after
        before=$(cat "/proc/$(writer)/stat") || return 1
        sleep 0.2
        after=$(cat "/proc/$(writer)/stat") || return 1
        [ "$before" = "$after" ] && [ "$(awk '{ print $3 }' <<<"$after")" = S ]
    }
    wait_for blocked
    resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$(map)/status")
    # A sanitizer's own memory is no matter of ours.
    [ -n "${MP_SANITIZE:-}" ] || [ "$resident" -lt 60000 ] || fail "$progress: $resident KiB for lines that can't be run yet"
    checks=$((checks + 1))
    kill -TERM "$(map)"
    exits "$pid" 143
done

# -- a broker that does not answer: a signal does not have to wait until that is sure
start_broker --drain-ms 100
kill -STOP "$broker"
background looking "$MP" map --broker "$url" -- true
connects() { cat "/proc/$pid/task/"*/comm 2>/dev/null | grep -q '^ZMQbg/IO'; }
wait_for connects
begun=$SECONDS
kill -TERM "$pid"
exits "$pid" 143
[ $((SECONDS - begun)) -lt 5 ] || fail "it went on looking for a broker"
kill -CONT "$broker"

# -- a task over records is no task over lines
background self "$MP_SQUARE" --mp-worker "$url" --mp-procs 1
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '1 worker '"
status 3 "$MP" map --broker "$url" --task square <numbers
says err "task 'square' is int\[4,4\] -> int\[4,4\]"
