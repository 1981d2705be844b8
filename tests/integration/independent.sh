#!/usr/bin/env bash
# A client in another language, that was written from proto/ alone, gets what ours get.
. "$(dirname "$0")/lib.sh"

mkdir gen
ok protoc -I "$MP_SOURCE/proto" --python_out=gen "$MP_SOURCE/proto/mp.proto"
client() { PYTHONPATH=gen PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 \
    "$MP_SOURCE/docs/examples/independent/client.py" "$url" "$@"; }

status 3 env PYTHONPATH=gen /usr/bin/python3 "$MP_SOURCE/docs/examples/independent/client.py" \
    tcp://127.0.0.1:1 ping
says err 'no broker'

# Little credit in both directions, so that it is needed: 64 KiB for inputs and for results.
start_broker --submit-bytes 65536 --result-bytes 65536
status 0 client ping
says out ' 0 workers (0 executors), 0 queued, 0 running'
start_worker one --procs 2 --load "$MP_FILESUM"
status 0 client ping
says out ' 1 workers (2 executors)'

find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,1000p >files
ok "$MP" map --broker "$url" --task filesum <files >wanted
for chunk in 1 7 1000; do
    status 0 client map filesum $chunk <files
    same out wanted
done

# A call that fails is a line; the others have their results.
status 1 client map filesum < <(head -n 3 files; echo /nowhere; sed -n 4,6p files)
says err "call 3: error -20: No such file or directory (task's code 2)"
same out <(head -n 6 wanted)

# What nobody offers, a signature that nobody has, what nobody may.
status 1 client map missing <<<x
says err 'call 0: error -30: '
background self "$MP_SQUARE" --mp-worker "$url" --mp-procs 2
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '2 workers'"
status 1 client map square <<<x
says err 'call 0: error -31: '
status 1 client map mp.exec <<<x
says err 'call 0: error -9: '

# Fixed sizes.
status 0 client square 3000
seq 0 2999 | awk '{ print $1 * $1 }' >squares
same out squares

# An executor that dies in the middle costs its call.
seq 2000 | sed 's/.*/\/usr\/include\/stdio.h/' >same_file
client map filesum <same_file >killed 2>killed.err &
map=$!
wait_for test -s killed
kill -9 "$(first_child mp-executor "$worker")"
wait $map || true
[ $(($(wc -l <killed) + $(wc -l <killed.err))) = 2000 ] || fail "calls without an outcome"
[ "$(wc -l <killed.err)" -le 1 ] || fail "more than one call was lost: $(head -n 3 killed.err)"
[ ! -s killed.err ] || says killed.err 'error -21: '

# The broker dies: the client says so, at once.
start_worker two --procs 1 --allow-exec
client map mp.exec >ended 2>ended.err < <(printf '\0sleep\00060\0') &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -q ' 1 running'"
kill -9 "$broker"
exits $map 3
says ended.err 'connection is lost'
