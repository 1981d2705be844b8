#!/usr/bin/env bash
# Jobs that a broker keeps: their clients go, or are killed, and others come for the results.
. "$(dirname "$0")/lib.sh"

# restart_broker [OPTION]...: at the same address, after a kill -9.
generation=0
restart_broker() {
    kill -9 "$broker"
    wait "$broker" 2>/dev/null || true
    generation=$((generation + 1))
    touch "broker$generation.out"
    background "broker$generation" "$MP_BROKER_BIN" --listen "$url" "$@"
    broker=$pid
    wait_for grep -q '^ready ' "broker$generation.out"
}

# job_says ID PATTERN: what the list says of it.
job_says() { "$MP" job list | grep "^$1 " | grep -q -e "$2"; }
# gone_job ID
gone_job() { ! "$MP" job list | grep -q "^$1 "; }
# runs N: calls have begun.
runs() { [ "$(cat begun 2>/dev/null | wc -l)" -ge "$1" ]; }

cat >gate.sh <<'END'
#!/bin/sh
echo "$1" >>begun
until [ -e gate ]; do sleep 0.02; done
echo "$1" >>ran
echo "result $1"
END
chmod +x gate.sh
seq 24 >numbers
sed 's/^/result /' numbers >wanted

start_broker --data data
export MP_BROKER=$url
start_worker one --procs 2 --allow-exec

# -- left by its client, fetched by others, in order, once
status 0 "$MP" map --detach --id first -- echo result <numbers
says out '^first$'
status 0 "$MP" job wait first
says out 'over, 24 of 24 ended, 0 failed, 0 taken'
status 0 "$MP" job fetch first
same out wanted
wait_for gone_job first
status 1 "$MP" job fetch first
says err 'no job first is kept'

# -- its client is killed in the midst, after the broker has all lines
"$MP" map --id second -- ./gate.sh <numbers >/dev/null 2>&1 &
client=$!
wait_for job_says second ', 0 of 24 ended'
wait_for runs 2
kill -9 $client
wait $client 2>/dev/null || true
touch gate
status 0 "$MP" job fetch second
same out wanted
[ "$(sort ran | uniq -d | wc -l)" = 0 ] || fail "calls ran twice"
rm -f gate begun ran

# -- the broker is killed with the job half done, nobody there: it goes on, and nothing runs twice that
# had an outcome
status 0 "$MP" map --detach --id third -- ./gate.sh <numbers
wait_for runs 2
touch gate
wait_for job_says third ', [1-9][0-9]* of 24 ended'
restart_broker --data data
status 0 "$MP" job fetch third
same out wanted
rm -f gate begun ran

# -- a fetch is killed in the midst: what it did not acknowledge comes again, what it did doesn't
head -c 300000 /dev/zero | tr '\0' x >large
seq 30 >thirty
status 0 "$MP" map --detach --id fetched --shell -- 'echo begin {}; cat large; echo; echo end {}' <thirty
ok "$MP" job wait fetched
mkfifo pipe
"$MP" job fetch fetched >pipe &
client=$!
exec 3<pipe
head -c 4000000 <&3 >part
kill -9 $client
wait $client 2>/dev/null || true
cat <&3 >>part
exec 3<&-
taken=$("$MP" job list | sed -nE 's/^fetched .* ([0-9]+) taken$/\1/p')
[ "$taken" -gt 0 ] && [ "$taken" -lt 30 ] || fail "$taken of 30 were acknowledged"
grep '^begin' part | sed -n '$=' >seen
[ "$(cat seen)" -ge "$taken" ] || fail "$taken acknowledged, but only $(cat seen) written"
restart_broker --data data
status 0 "$MP" job fetch fetched
grep '^begin' out >rest
seq $((taken + 1)) 30 | sed 's/^/begin /' >wanted_rest
same rest wanted_rest

# -- cancelled by its id, while it runs; results that there are stay
status 0 "$MP" map --detach --id fifth -- ./gate.sh <numbers
wait_for runs 2
status 0 "$MP" job cancel fifth
status 1 "$MP" job fetch fifth
says err 'cancelled'
[ ! -e ran ] || fail "a cancelled call went on"
rm -f begun
status 0 "$MP" map --detach --id fifth -- ./gate.sh <numbers
status 0 "$MP" job drop fifth
status 1 "$MP" job wait fifth
wait_for eval '[ -z "$(children gate.sh "$worker")" ]' # what ran of it is stopped, before the gate opens
rm -f begun

# -- two clients submit with one key at once: the calls run once, and both have the results
touch gate
for i in 1 2; do
    "$MP" map --key 'night run: 7' -- ./gate.sh <numbers >"both$i" 2>"both$i.err" &
    clients[i]=$!
done
exits "${clients[1]}" 0
exits "${clients[2]}" 0
same both1 wanted
same both2 wanted
restart_broker --data data
status 0 "$MP" map --key 'night run: 7' -- ./gate.sh <numbers
same out wanted
[ "$(wc -l <ran)" = 24 ] || fail "$(wc -l <ran) calls ran, not 24"
status 3 "$MP" map --key 'night run: 7' -- ./gate.sh other <numbers
says err 'its key was used for another submit'
status 3 "$MP" map --key 'night run: 7' --task other <numbers
says err "the key 'night run: 7' was used for the task mp.exec"
head -10 numbers >fewer
status 3 "$MP" map --key 'night run: 7' -- ./gate.sh <fewer
says err 'has 24 inputs, not 10'
cat numbers fewer >longer
status 3 "$MP" map --key 'night run: 7' -- ./gate.sh <longer
says err 'no more can come'

# -- delays and deadlines go on with nobody there, and while the broker is down
now_ms() { date +%s%3N; }
seq 4 >four
cat >when.sh <<'END'
#!/bin/sh
date +%s%3N >>begun_times
echo "result $1"
END
chmod +x when.sh
begun_at=$(now_ms)
status 0 "$MP" map --detach --id delayed --delay-ms 2500 -- ./when.sh <four
status 0 "$MP" map --detach --id never --delay-ms 86400000 -- ./when.sh <four
status 0 "$MP" map --detach --id late --delay-ms 86400000 --deadline-ms 300 --no-dead-letters -- \
    ./when.sh <four
status 0 "$MP" map --detach --id down --delay-ms 86400000 --deadline-ms 60000 -- ./when.sh <four
wait_for job_says late 'over, 4 of 4 ended, 4 failed'
restart_broker --data data
status 0 "$MP" job fetch delayed
sed 's/^/result /' four >wanted_four
same out wanted_four
while read -r at; do
    [ "$at" -ge $((begun_at + 2500)) ] || fail "a call ran $((at - begun_at)) ms after its submit"
done <begun_times
[ "$(wc -l <begun_times)" = 4 ] || fail "$(wc -l <begun_times) calls ran, not 4"
job_says never '0 of 4 ended' || fail "$("$MP" job list)"
job_says down '0 of 4 ended' || fail "$("$MP" job list)"
status 1 "$MP" job fetch late
says err 'deadline'
ok "$MP" job drop never
ok "$MP" job drop down
status 0 "$MP" map --detach --id short --delay-ms 86400000 --deadline-ms 1500 -- ./when.sh <four
kill -STOP "$broker" # its time goes on, but it can't end them
submitted=$(now_ms)
while [ "$(now_ms)" -lt $((submitted + 1600)) ]; do sleep 0.05; done
restart_broker --data data
job_says short 'over, 4 of 4 ended, 4 failed' || fail "$("$MP" job list)"
status 1 "$MP" job fetch short
says err 'deadline'
status 0 "$MP" dead list
[ "$(wc -l <out)" = 4 ] || fail "four calls that nobody saw end badly, but: $(cat out)"
says out 'job short, call 3: MP_ETIMEDOUT'
status 0 "$MP" dead drop --all

# -- names
status 0 "$MP" map --detach --id taken -- echo <numbers
status 3 "$MP" map --detach --id taken -- echo <numbers
says err 'there is a job taken already'
status 2 "$MP" map --detach --id ../../etc -- echo <numbers
status 2 "$MP" map --detach --id "$(printf 'x%.0s' {1..65})" -- echo <numbers
status 2 "$MP" map --detach --key '' -- echo <numbers
status 2 "$MP" map --detach --broker local -- echo <numbers
status 2 "$MP" job fetch 'no such job'
status 2 "$MP" job fetch "$(printf '\001')"
ok "$MP" job drop taken

# -- dead letters: listed, shown, survive the broker, run again to success
cat >fragile.sh <<'END'
#!/bin/sh
[ -e repaired ] && echo "mended $1" && exit 0
[ "$1" = 3 ] && kill -9 $$
echo "cannot do $1" >&2
exit 7
END
chmod +x fragile.sh
status 1 "$MP" map --dead-letters --retries 1 -- ./fragile.sh < <(seq 5)
status 0 "$MP" dead list
[ "$(wc -l <out)" = 5 ] || fail "$(cat out)"
says out 'mp.exec  job [0-9a-f]*, call 2: MP_EFAILED'
restart_broker --data data
status 0 "$MP" dead list --json
cp out listed
[ "$(wc -l <listed)" = 5 ] || fail "$(cat listed)"
says listed '"index":4,.*"attempt":2'
number=$(sed -nE 's/^\{"number":([0-9]+).*"index":4,.*/\1/p' listed)
status 0 "$MP" dead show "$number"
says out 'fragile.sh'
status 1 "$MP" dead show 999999
status 0 "$MP" dead list --task other
[ ! -s out ] || fail "another task's letters are listed"
status 0 "$MP" dead drop "$number"
status 1 "$MP" dead requeue 999999
touch repaired
status 0 "$MP" dead requeue --all
id=$(cat out)
status 0 "$MP" job fetch "$id"
seq 4 | sed 's/^/mended /' >mended
sort out >sorted # they come in the order in which they died
same sorted mended
status 0 "$MP" dead list
[ ! -s out ] || fail "requeued letters are still listed: $(cat out)"

# -- those that ran in different ways don't become one job, which would run them in one way
rm repaired
status 1 "$MP" map --dead-letters -- ./fragile.sh < <(seq 2)
status 1 "$MP" map --dead-letters --timeout-ms 50000 -- ./fragile.sh < <(seq 1)
status 2 "$MP" dead requeue --all
says err 'different time limits'
status 0 "$MP" dead list --json
number=$(sed -nE '1s/^\{"number":([0-9]+).*/\1/p' out)
status 0 "$MP" dead requeue "$number" $((number + 1))
status 0 "$MP" dead drop --all
