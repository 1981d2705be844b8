#!/usr/bin/env bash
# Kept jobs without a data directory: they expire, and their bytes are bounded.
. "$(dirname "$0")/lib.sh"

job_says() { "$MP" job list | grep "^$1 " | grep -q -e "$2"; }
gone_job() { ! "$MP" job list | grep -q "^$1 "; }

start_broker --keep-ms $((slower > 1 ? 20000 : 1500)) --kept-bytes 400000 --dead-bytes 40000
export MP_BROKER=$url
start_worker one --procs 2 --allow-exec

# -- fetched by somebody else, with nothing on a disk
seq 5 >five
status 0 "$MP" map --detach --id first -- echo <five
status 0 "$MP" job fetch first
same out five

# -- a job expires when nobody comes, not while somebody waits for it, whatever keep-ms it asked for
status 0 "$MP" map --detach --id second --keep-ms 3600000 -- echo <five
wait_for job_says second '5 of 5 ended'
wait_for gone_job second
status 1 "$MP" job fetch second
says err 'no job second is kept'
status 0 "$MP" map --detach --id third --keep-ms 1 --shell -- "sleep $((slower * 2)); : {}" <<<x
status 0 "$MP" job fetch third

# -- inputs over the limit are refused, with the cure, and harm nobody
head -c 150000 /dev/zero | tr '\0' x >line
for _ in 1 2 3 4; do cat line && echo; done >lines
status 0 "$MP" map --detach --id small --shell -- 'sleep 1; echo {}' <five
status 3 "$MP" map --detach --id large --shell -- 'exec cat >/dev/null; : {}' <lines
says err '(--kept-bytes), .*fetch or drop some'
"$MP" job drop large 2>/dev/null || true
status 0 "$MP" job fetch small
same out five

# -- dead letters: the oldest go
seq 60 | sed "s/\$/ $(head -c 1000 line)/" >many
status 1 "$MP" map --dead-letters -- false <many
status 0 "$MP" dead list --json
count=$(wc -l <out)
[ "$count" -gt 5 ] && [ "$count" -lt 60 ] || fail "$count letters are left"
says out '"index":59,'
says broker.err dead_letters_dropped

# -- a broker that has no room waits for somebody to fetch
kill "$worker" "$broker"
exits "$broker" 0
start_broker --keep-ms 3600000 --kept-bytes 400000
export MP_BROKER=$url
start_worker two --procs 2 --allow-exec

# -- results over it make calls wait, until somebody comes for those that there are
status 0 "$MP" map --detach --id output --shell -- 'cat line; echo {}' < <(seq 12)
wait_for grep -q kept_jobs_wait broker.err
! job_says output '12 of 12 ended' || fail "all 12 results are kept, of 150 KB each"
status 0 "$MP" why output
says out 'the broker has no room for its outcome (--kept-bytes): fetch or drop jobs'
status 0 "$MP" stat --json
says out '"kept_held": *true'
status 0 "$MP" job fetch output
[ "$(wc -l <out)" = 12 ] || fail "$(wc -l <out) of 12 results"
sed 's/^x*//' out >numbers
seq 12 >twelve
same numbers twelve
says broker.err kept_jobs_go_on

# -- nobody comes: who takes the room is given up, not who waits for it, and the rest can be run again
status 0 "$MP" map --detach --id patient --delay-ms $((slower * 2000)) -- echo <five
status 0 "$MP" map --detach --id hog --keep-ms $((slower * 3000)) --shell -- 'cat line; echo {}' < <(seq 12)
wait_for gone_job hog
says broker.err 'job_given_up.*hog'
status 1 "$MP" job fetch hog
says err 'no job hog is kept'
status 0 "$MP" job fetch patient
same out five
status 0 "$MP" dead list
says out 'job hog, call 11: MP_ELIMIT: not run: .*--kept-bytes'
status 0 "$MP" dead drop --all
# What has a key stays when it is fetched, so that its client waits in vain for room.
status 1 "$MP" map --key large --id large --keep-ms $((slower * 1000)) --shell -- 'cat line; echo {}' < <(seq 12)
says err 'MP_ELIMIT\|--kept-bytes'
[ "$(wc -l <out)" -ge 2 ] || fail "what has run of it is not given"
wait_for gone_job large

# -- what was only in memory is gone with the broker, and its clients are told so
status 0 "$MP" map --detach --id lost -- echo <five
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
touch second.out
background second "$MP_BROKER_BIN" --listen "$url"
wait_for grep -q '^ready ' second.out
status 1 "$MP" job wait lost
says err 'no job lost is kept'
