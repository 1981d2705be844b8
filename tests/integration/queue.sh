#!/usr/bin/env bash
# mp queue: lines and JSON through a queue, over ipc and tcp; what can't be reached, written, put.
. "$(dirname "$0")/lib.sh"

own() { # NAME ENDPOINT [OPTION]...: sets address and owner
    background "$1" "$MP" queue own "${@:2}"
    owner=$pid
    wait_for grep -q '^ready ' "$1.out"
    address=$(sed -n 's/^ready //p' "$1.out")
}

own local "ipc://$work/queue.sock"
seq 1000 >numbers
ok "$MP" queue put "$address" <numbers
ok "$MP" queue stat "$address" >stat
says stat '^1000 queued, 0 in hand, 0 waiting, .* over lane$'
ok "$MP" queue get "$address" -n 400 >got
ok "$MP" queue get "$address" -n 600 >>got
same got numbers
status 1 "$MP" queue get --timeout-ms 10 "$address"
says err 'the queue is empty'
printf '{"a": [1, 2.5, null, "x"]}\n"text"\nnot json\n' >trees
status 1 "$MP" queue put --json "$address" <trees
says err '^mp queue: line 3: '
ok "$MP" queue get "$address" -n 2 --timeout-ms 5000 >got
says got '^{"a": \[1, 2.5, null, "x"\]}$'
says got '^"text"$'
printf 'a "word"\nb\377\n' | ok "$MP" queue put "$address"
ok "$MP" queue get --json "$address" -n 2 >got
says got '^"a \\"word\\""$'
says got '^{"\$bytes":"Yv8="}$'
# What can't be written isn't lost.
echo precious | ok "$MP" queue put "$address"
checks=$((checks + 1))
"$MP" queue get "$address" >/dev/full 2>err && fail "written to a full disk"
says err 'No space left'
wait_for bash -c "'$MP' queue stat '$address' --json | grep -q '\"size\":1,\"prefetched\":0'"
ok "$MP" queue get "$address" >got
says got '^precious$'
# Lines that are too long, or none.
head -c 2000000 /dev/zero | tr '\0' x | status 1 "$MP" queue put "$address"
says err 'line 1: longer than 1 MiB'
ok "$MP" queue put "$address" </dev/null
# The owner tells what it takes along.
seq 3 | ok "$MP" queue put "$address"
kill -TERM "$owner"
exits "$owner" 1
says local.err '^mp queue: 3 items are lost with it$'
status 3 "$MP" queue put "$address" --timeout-ms 300 <numbers
says err "nobody answers"

printf 'secret\n' >key
printf 'other\n' >wrong
status 3 "$MP" queue own 'tcp://*:0'
says err 'needs a key'
own far 'tcp://127.0.0.1:0' --key-file key --maxsize 2
status 3 "$MP" queue stat "$address"
says err 'key'
status 3 "$MP" queue stat "$address" --key-file wrong
status 3 "$MP" queue stat "$address" --key-file nowhere
status 3 "$MP" queue stat "${address}7" --key-file key
status 1 "$MP" queue put "$address" -k key --timeout-ms 300 <numbers
says err 'the queue is full'
"$MP" queue put "$address" -k key <numbers >put.out 2>&1 &
putter=$!
ok "$MP" queue get "$address" -k key -n 1002 >got
exits "$putter" 0
{ seq 2; seq 1000; } >wanted
same got wanted
kill -INT "$owner"
exits "$owner" 0

status 2 "$MP" queue
status 2 "$MP" queue put
status 2 "$MP" queue shout "$address"
status 2 "$MP" queue put "$address" more
status 2 "$MP" queue get "$address" --count many
status 2 "$MP" queue get "udp://x/1"
ok "$MP" queue --help >help
ok "$MP" queue get --help >help.get
same help help.get
