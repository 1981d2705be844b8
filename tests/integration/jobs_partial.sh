#!/usr/bin/env bash
# Kept jobs that aren't whole: submitted in part, left by their maker, without a line, and waited for too
# short a time.
. "$(dirname "$0")/lib.sh"

job_says() { "$MP" job list | grep "^$1 " | grep -q -e "$2"; }
gone_job() { ! "$MP" job list | grep -q "^$1 "; }

start_broker --kept-bytes 200k
export MP_BROKER=$url
start_worker one --procs 2 --allow-exec --drain-ms 100

cat >gate.sh <<'END2'
#!/bin/sh
until [ -e gate ]; do sleep 0.02; done
echo "result $1"
END2
chmod +x gate.sh

# -- a submit that comes to nothing leaves nothing, unless it is told otherwise
line=$(head -c 10000 /dev/zero | tr '\0' x)
for _ in $(seq 50); do echo "$line"; done >large
status 3 "$MP" map --detach --id limited -- echo <large
says err '(--kept-bytes), .*fetch or drop some'
says err 'job limited is dropped again'
gone_job limited || fail "a part of it is left: $("$MP" job list)"
# Batches of a MiB: the first one fits, the second doesn't.
kill -TERM "$broker"
ends "$broker"
touch big.out
background big "$MP_BROKER_BIN" --listen "$url" --kept-bytes 3M
broker=$pid
wait_for grep -q '^ready ' big.out
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '1 worker '"
for _ in 1 2 3 4 5; do cat large; done >larger
status 3 "$MP" map --detach --id limited -- true <larger
says err 'job limited is dropped again'
gone_job limited || fail "a part of it is left: $("$MP" job list)"
status 3 "$MP" map --detach --keep-partial --id limited -- true <larger
says err 'the broker has a part of the job, .*mp job drop limited'
wait_for job_says limited ' unfinished, '

# -- who waits for it, or fetches it, is told that there is more, and then it is gone
status 1 "$MP" job wait limited
says out 'limited  mp.exec  unfinished, '
says err 'limited: its maker never closed it: these are the [0-9]* inputs'
status 0 "$MP" job list --json
says out '"id":"limited",.*"state":"unfinished","complete":false,"closed":false'
status 1 "$MP" job fetch limited
says err 'limited: its maker never closed it'
gone_job limited || fail "what was fetched is still there: $("$MP" job list)"

# -- who reads it meanwhile is no maker, and a cancel makes it no whole
status 3 "$MP" map --detach --keep-partial --id limited -- true <larger
wait_for job_says limited ' unfinished, '
status 0 "$MP" job cancel limited
job_says limited ' unfinished, ' || fail "$("$MP" job list)"
status 1 "$MP" job fetch limited
says err 'limited: its maker never closed it'

# -- a maker that is stopped while it submits: its job is dropped, or told of where it was not detached
mkfifo slow
background stopped bash -c "exec '$MP' map --detach --id stopped -- ./gate.sh <slow"
exec 7>slow
echo 1 >&7
wait_for job_says stopped ' running, 0 of 1 ended'
kill -TERM "$pid"
exits "$pid" 143
exec 7>&-
says stopped.err 'terminated: [01].* submitted$'
says stopped.err 'job stopped is dropped again'
gone_job stopped || fail "$("$MP" job list)"

background left bash -c "exec '$MP' map --id left -- echo <slow"
exec 7>slow
echo 1 >&7
wait_for job_says left ' open, 1 of 1 ended'
kill -TERM "$pid"
exits "$pid" 143
exec 7>&-
says left.err 'has a part of the job, up to call 1, .*mp job fetch left'
wait_for job_says left ' unfinished, 1 of 1 ended'
status 1 "$MP" job fetch left
says err 'never closed'

# -- a job that is halted doesn't go on at the broker, but one that may be another's as well
seq 4 >four
for how in '--id halted' '--id halted-key --key halted'; do
    # shellcheck disable=SC2086
    status 1 "$MP" map $how --halt-on-error --shell -- 'test {} != 1 && ./gate.sh {}' <four
    case $how in
    *key*) says err 'the job goes on: mp job fetch halted-key' ;;
    *) says err 'the job is cancelled: mp job fetch halted$' ;;
    esac
done
wait_for job_says halted ' cancelled, 4 of 4 ended'
job_says halted-key ' running, 1 of 4 ended' || fail "$("$MP" job list)"
ok "$MP" job drop halted
ok "$MP" job drop halted-key

# -- what a client that is stopped has submitted as a whole goes on
background whole bash -c "exec '$MP' map --id whole -- ./gate.sh <four"
wait_for job_says whole '0 of 4 ended'
status 3 "$MP" map --id whole -- echo <four
says err 'there is a job whole already.*; mp job fetch whole has its results'
wait_for bash -c "'$MP' job list --json | grep -q '\"id\":\"whole\",.*\"complete\":true'"
kill -INT "$pid" 2>/dev/null
exits "$pid" 130
says whole.err 'the job goes on: mp job fetch whole'

# -- one limit for all of a fetch; and a wait that is too short says how far the job is
status 1 "$MP" job wait whole --timeout-ms 1500
says err 'whole: after 1500 ms 0 of 4 calls have ended$'
touch gate
status 0 "$MP" job fetch whole
sed 's/^/result /' four >wanted
same out wanted
status 0 "$MP" map --detach --id steps --shell -- "sleep $((slower * 1)); : {}" < <(seq 40)
steps_end() { "$MP" job list | grep '^steps ' | grep -q ', [1-9][0-9]* of 40 ended'; }
wait_for steps_end
status 1 "$MP" job fetch steps --timeout-ms $((slower * 1500))
says err 'steps: after [0-9]* ms [1-9][0-9]* of 40 calls have ended$'
ok "$MP" job drop steps

# -- no line at all is a job as any other
status 0 "$MP" map --detach --id empty -- echo </dev/null
says out '^empty$'
status 0 "$MP" job wait empty
says out 'over, 0 of 0 ended'
status 0 "$MP" job fetch empty
[ ! -s out ] || fail "results of no line"
gone_job empty || fail "$("$MP" job list)"

# -- a line that can't be run would give all that follow another number
{ echo a && head -c 1100000 /dev/zero | tr '\0' x && printf '\nbad\n'; } >odd
status 3 "$MP" map --detach --id odd -- echo <odd
says err 'line 2: .*longer than 1 MiB'
says err 'with --detach all lines must be fit'
says err 'job odd is dropped again'
gone_job odd || fail "$("$MP" job list)"
status 3 bash -c "exec '$MP' map --detach --id unread -- echo </"
says err 'Is a directory'
gone_job unread || fail "$("$MP" job list)"

# -- what nobody would see
status 2 "$MP" map --detach --output --task any <four
says err 'no --joblog, --halt-on-error or --output'
status 2 "$MP" map --keep-partial -- echo <four
