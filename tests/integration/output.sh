#!/usr/bin/env bash
# What tasks write, at the client: here, and by a broker on ipc and tcp.
. "$(dirname "$0")/lib.sh"

# listen WHERE...: the same of all.
listen() {
    printf '%s\n' a b c >lines
    status 0 "$MP" map "$@" --task wt_say --output <lines
    same out lines
    for n in 1 2 3; do
        line=$(sed -n "${n}p" lines)
        says err "^\[$n [^ ]*:[0-9]* out\] out $line\$"
        says err "^\[$n [^ ]*:[0-9]* err\] err $line\$"
    done
    [ "$(wc -l <err)" = 6 ] || fail "more than was written: $(cat err)"

    # a flood is cut, and told of, and nobody stalls
    echo 5000 | "$MP" map "$@" --task wt_flood --output >out 2>err || fail "$(tail -3 err)"
    says out flooded
    says err 'bytes left out'
    size=$(grep -c 'xxx' err)
    [ "$size" -ge 900 ] && [ "$size" -le 1100 ] || fail "$size lines of the flood have come"

    # while the call runs
    echo 60000 | "$MP" map "$@" --task wt_nap --output >out 2>err &
    map=$!
    wait_for grep -q 'out\] napping' err
    kill $map
    exits $map 143

    # before a crash
    echo x >lines
    status 1 "$MP" map "$@" --task wt_crash --output <lines
    says err '\] farewell'

    # nobody asks, so it goes where it went
    status 0 "$MP" map "$@" --task wt_say <lines
    if grep -q '\[1 ' err; then fail "it was not asked for"; fi
}

listen -j 2 --load "$MP_WORK_TASKS"
status 2 "$MP" map --output -- echo
says err 'is for tasks'

background broker "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --listen "ipc://$work/b"
wait_for grep -q '^ready ipc' broker.out
url="ipc://$work/b"
start_worker w --procs 2 --load "$MP_WORK_TASKS"
listen --broker "$url"
tcp=$(sed -n 's/^ready \(tcp.*\)/\1/p' broker.out)
listen --broker "$tcp"
