#!/usr/bin/env bash
# Modules that a client ships to workers.
. "$(dirname "$0")/lib.sh"

background broker "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --listen "ipc://$work/b"
broker=$pid
wait_for grep -q '^ready ipc' broker.out
url="ipc://$work/b"
tcp=$(sed -n 's/^ready \(tcp.*\)/\1/p' broker.out)
ship() { "$MP" map --broker "$url" --chunk 1 "$@"; }
printf 'a\nb\nc\n' >lines

# -- off by default
start_worker plain --procs 1 --load "$MP_WORK_MORE"
status 3 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
says err 'no worker that is connected takes modules'
kill "$worker"
exits "$worker" 0

# -- only from a broker, and a client, that are this user's
status 78 "$MP_WORKER_BIN" --broker "$tcp" --accept-modules store --procs 1
says err 'connect by ipc'
mkdir -m 755 open
status 78 "$MP_WORKER_BIN" --broker "$url" --accept-modules open --procs 1
says err 'mode 0700'

start_worker w --procs 2 --accept-modules store --module-bytes 8M --name w
[ "$(stat -c %a store)" = 700 ] || fail "the directory is not private"
status 3 "$MP" map --broker "$tcp" --ship "$MP_WORK_TASKS" --task wt_say <lines
says err 'not taken over tcp'
[ -z "$(ls store)" ] || fail "it was taken"

# -- it is sent, kept under its hash, and its tasks are run
status 0 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
same out lines
hash=$(sha256sum "$MP_WORK_TASKS" | cut -d' ' -f1)
[ "$(ls store)" = "$hash.so" ] || fail "$(ls store)"
same "store/$hash.so" "$MP_WORK_TASKS"
status 0 ship --task wt_say <lines # it stays
same out lines

# -- a second one beside it; the first goes on
status 0 ship --ship "$MP_WORK_MORE" --task wt_more <lines
says out 'more of 0'
status 0 ship --task wt_say <lines

# -- what can't be taken is said, and the worker is unharmed
status 3 ship --ship "$MP_WORK_CLASH" --task wt_say <lines
says err "worker w: .*its task 'wt_say' has a name that another one holds"
status 3 ship --ship "$MP_WORK_ABORT" --task wt_say <lines
says err 'a process that loads it is killed by signal 6'
echo text >text.so
status 3 ship --ship text.so --task wt_say <lines
says err 'no shared object for this machine'
head -c 6000 "$MP_WORK_TASKS" >cut.so
status 3 ship --ship cut.so --task wt_say <lines
says err 'cut.so: worker w: '
(cat "$MP_WORK_TASKS" && head -c 9000000 /dev/zero) >large.so
status 3 ship --ship large.so --task wt_say <lines
says err '8388608 are allowed'
status 3 ship --ship /nowhere.so --task wt_say <lines
says err '/nowhere.so'
[ "$(ls store | wc -l)" = 2 ] || fail "something was left: $(ls store)"
status 0 ship --task wt_say <lines
alive "$worker" || fail "the worker has died"

# -- killed in the middle of a push: nothing is left that could be taken for a module
kill "$worker"
exits "$worker" 0
(cat "$MP_WORK_MORE" && head -c 80000000 /dev/zero) >huge.so
start_worker x --procs 1 --accept-modules half --module-bytes 1G --name x
ship --ship huge.so --task wt_say <lines >ship.out 2>ship.err &
map=$!
wait_for bash -c 'ls half/*.part >/dev/null 2>&1'
kill -9 "$worker"
exits $map 3
says ship.err 'worker x was lost before it had it'
if ls half/*.so 2>/dev/null; then fail "half a module"; fi
start_worker y --procs 1 --accept-modules half --module-bytes 1G --name y
[ -z "$(ls half)" ] || fail "the rest was not cleared away: $(ls half)"

# -- the client is killed: the worker forgets what has come
ship --ship huge.so --task wt_say <lines >ship.out 2>ship.err &
map=$!
wait_for bash -c 'ls half/*.part >/dev/null 2>&1'
kill -9 $map
wait $map 2>/dev/null || true
wait_for bash -c '! ls half/*.part >/dev/null 2>&1'
status 0 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
same out lines
kill "$worker"
exits "$worker" 0
rm huge.so

# -- kept over a restart: not sent again, if it is what it was
start_worker z --procs 1 --accept-modules store --name z
status 0 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
same out lines
[ "$(ls store | wc -l)" = 2 ] || fail "$(ls store)"
kill "$worker"
exits "$worker" 0
chmod 700 "store/$hash.so"
echo damaged >>"store/$hash.so"
start_worker damaged --procs 1 --accept-modules store --name z2
status 0 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
same "store/$hash.so" "$MP_WORK_TASKS"

# -- who joins later is given it as well, while the client is there; also by the next broker
seq 200 | sed 's/.*/20/' | ship --ship "$MP_WORK_TASKS" --task wt_nap >pids 2>map.err &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' --json | grep -q '\"calls_running\":[1-9]'"
start_worker late --procs 1 --accept-modules later --name late
wait_for [ -e "later/$hash.so" ]
exits $map 0
[ "$(sort -u pids | wc -l)" -ge 2 ] || fail "it was not used: $(sort -u pids)"

# -- with keys also over tcp: for those who may submit, and are operators; others may not drain either
ok "$MP" keygen keys
for role in submit work admin,submit; do
    ok "$MP" keygen --name "${role%,*}" --role "$role" keys
done
background keyed "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --keys keys
wait_for grep -q '^ready ' keyed.out
url=$(sed -n 's/^ready //p' keyed.out)
start_worker far --procs 1 --accept-modules far --key-file keys/work.key --name far
export MP_KEY_FILE=keys/submit.key
status 3 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
says err 'lacks the role admin'
status 1 "$MP" drain --broker "$url" 'work@far'
says err 'lacks the role admin'
MP_KEY_FILE=keys/admin.key
status 0 ship --ship "$MP_WORK_TASKS" --task wt_say <lines
same out lines
status 0 "$MP" drain --broker "$url" 'work@far'
exits "$worker" 0
