#!/usr/bin/env bash
# What ends a map before its lines do, and what doesn't.
. "$(dirname "$0")/lib.sh"

# -- a program that isn't there: it won't be for any other line
seq 50 >fifty
status 3 "$MP" map -- no-such-program <fifty
[ "$(wc -l <err)" = 1 ] || fail "it went on: $(cat err)"
says err '^mp: no-such-program: No such file or directory$'
status 1 "$MP" map -- sh -c 'exit 127' <fifty
says err '50 of 50 lines failed'
status 1 "$MP" map -- ./{} <<<no-such-program # another line may name one that is
says err 'line 1: '

# -- a file that is no log is not written to
printf 'a letter\nto somebody\n' >letter
cp letter before
for resume in '' --resume; do
    status 3 "$MP" map --joblog letter $resume -- echo <fifty
    says err '^mp: letter: that is no job log$'
    same letter before
done
printf 'Line\tFini' >torn # of a run that was killed at its start
status 0 "$MP" map --joblog torn -- echo <fifty
[ "$(sed -n 1p torn | cut -f 1-3)" = $'Line\tFinished\tStatus' ] || fail "$(head -n 2 torn)"
[ "$(grep -c $'\tok\t' torn)" = 50 ] || fail "$(cat torn)"

# -- numbers that are too large
status 2 "$MP" map --timeout-ms 99999999999 -- echo <fifty
says err 'needs a whole number of at most 2147483647'
status 2 "$MP" map --timeout-ms 99999999999999999999 -- echo <fifty
says err 'at most 2147483647'
status 2 "$MP" map --timeout-ms 0 -- echo <fifty
says err 'at least 1'

# -- a worker that ends takes the lines that it runs with it, and no other
start_broker
export MP_BROKER=$url
start_worker one --procs 1 --allow-exec --drain-ms 100
first=$worker
cat >gate.sh <<'END2'
#!/bin/sh
echo "$1" >>begun
until [ -e gate ]; do sleep 0.02; done
echo "result $1"
END2
chmod +x gate.sh
seq 10 >ten
background mapped bash -c "exec '$MP' map --chunk 1 --joblog log -- ./gate.sh <ten"
map=$pid
wait_for test -s begun
start_worker two --procs 1 --allow-exec
kill -TERM "$first"
ends "$first"
touch gate
exits "$map" 1
says mapped.err 'its worker was told to end, and waited 100 ms for it'
says mapped.err '^mp: 1 of 10 lines failed$'
[ "$(wc -l <mapped.out)" = 9 ] || fail "$(wc -l <mapped.out) results"
[ "$(grep -c $'\tok\t' log)" = 9 ] || fail "the log: $(cat log)"
[ "$(grep -c $'\tlost\t' log)" = 1 ] || fail "the log: $(cat log)"

# -- how calls are run: a name for people, an order, and a pause before another attempt
rm gate begun
status 0 "$MP" map --detach --id labelled --label nightly --priority 5 --chunk 1 -- ./gate.sh <ten
status 0 "$MP" job list --json
says out '"label":"nightly"'
queued() { "$MP" ping | grep -q " $1 queued"; }
wait_for test -s begun
wait_for queued 9
background low bash -c "exec '$MP' map --priority -5 -- ./gate.sh <<<low"
low=$pid
wait_for queued 10
background high bash -c "exec '$MP' map --priority 1000 -- ./gate.sh <<<high"
high=$pid
wait_for queued 11
touch gate
exits "$high" 0
exits "$low" 0
[ "$(tail -n 1 begun)" = low ] || fail "the least was not the last: $(cat begun)"
[ "$(sed -n '/high/=' begun)" -le 10 ] || fail "the most was among the last: $(cat begun)"
status 2 "$MP" map --priority 1001 -- echo <ten
status 2 "$MP" map --priority -1001 -- echo <ten
began=$(date +%s%3N)
status 1 "$MP" map --retries 1 --retry-delay-ms 700 -- false <<<x
[ $(($(date +%s%3N) - began)) -ge 700 ] || fail "it was tried again at once"
