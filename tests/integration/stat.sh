#!/usr/bin/env bash
# mp stat and mp why: as text and as JSON; and what they say where they can't.
. "$(dirname "$0")/lib.sh"

status 1 "$MP" stat --broker tcp://127.0.0.1:9 --timeout-ms 100
says err '^mp stat: '
status 1 "$MP" why --broker tcp://127.0.0.1:9 --timeout-ms 100
for command in stat why; do
    status 2 "$MP" $command --broker local
    status 2 "$MP" $command --nope
    status 0 "$MP" $command --help
done
status 2 "$MP" stat more
status 2 "$MP" why one two

start_broker --data data
status 0 "$MP" why --broker "$url"
says out '^no calls wait$'
status 0 "$MP" stat --broker "$url"
says out 'serving, up [0-9]* s, with a data directory$'
says out '^0 workers, 0 executors, 1 client, 0 jobs$'

says out '^kept: 0 jobs with 0; 0 dead letters with 0$'

# -- without a worker
echo 1000 | "$MP" map --broker "$url" -- sleep >/dev/null 2>&1 &
map=$!
why_says() { "$MP" why --broker "$url" >out && grep -q "$1" out; }
wait_for why_says 'no worker is connected'
says out '^[0-9]*/[0-9]* mp.exec of .*: queued$'
status 0 "$MP" stat --broker "$url"
says out '^1 calls queued, 0 at workers; the oldest waits [0-9.]* s$'
says out '^mp.exec  *1  *0 '

# -- and with one
start_worker w --procs 1 --allow-exec --name first
running() { "$MP" stat --broker "$url" --json >json && grep -q '"given": 1' json; }
wait_for running
status 0 "$MP" stat --broker "$url"
says out '^first .* serving  *1  *1  *1 .* mp.exec$'
ok python3 - <<'PY'
import json
stat = json.load(open("json"))
assert set(stat) == {"broker", "workers", "tasks", "clients", "jobs"}, set(stat)
broker, worker, job = stat["broker"], stat["workers"][0], stat["jobs"][0]
assert broker["data"] is True and broker["sessions"] == 2 and broker["given"] == 1, broker
assert worker["name"] == "first" and worker["tasks"] == ["mp.exec"], worker
assert worker["slots"] == worker["busy"] == 1 and worker["memory_bytes"] > 65536, worker
assert job["task"] == "mp.exec" and job["given"] == 1 and job["queued"] == 0, job
assert any(one["id"] == job["client"] and one["kept"] for one in stat["clients"]), stat["clients"]
print(f"{job['client']}/{job['id']}", file=open("job", "w"))
PY
status 0 "$MP" why --broker "$url" "$(cat job)/0"
says out ': running$'
says out 'it runs on worker first, since [0-9]* ms$'
status 0 "$MP" why --broker "$url" --json "$(cat job)"
ok python3 -c 'import json; one = json.load(open("out")); assert one["reasons"][0]["kind"] == "running", one'
status 1 "$MP" why --broker "$url" 999/1
says err "no open job and no object '999/1'"

# -- again and again, until it is interrupted
background watch "$MP" stat --broker "$url" --watch --json
watching() { [ "$(wc -l <watch.out)" -ge 2 ]; }
wait_for watching
kill -TERM "$pid"
wait "$pid" || true

# -- who holds a lock
mkfifo input
background holder bash -c "exec '$MP_HOLD_LOCK' none '$url' <input"
holder=$pid
exec 9>input
wait_for grep -q '^ready ' holder.out
status 0 "$MP" why --broker "$url" $'leader\e[7m'
says out '^leader\\x1b\[7m: a lock$'
says out "^    held by .*:$holder since [0-9]* ms\$"
says out '^    .* waits, and is next$'
status 0 "$MP" stat --broker "$url"
says out 'locks: 1 held, 1 waits$'
exec 9>&-
exits "$holder" 0

kill -INT $map
wait $map || true

# -- what it keeps: a job, until it is dropped, and the letter of its call
ok "$MP" map --broker "$url" --detach --id ends --dead-letters -- false <<<x >/dev/null
status 1 "$MP" job wait ends -b "$url"
status 0 "$MP" stat --broker "$url"
says out '^kept: 1 job with [1-9][0-9.k]*, the oldest [0-9.]* s old; 1 dead letter with [1-9][0-9.k]*, the oldest [0-9.]* s old$'
aged() { # both show some age, and sizes
    "$MP" stat --broker "$url" --json >json
    python3 - <<'PY'
import json
broker = json.load(open("json"))["broker"]
assert (broker["kept_jobs"], broker["dead_letters"]) == (1, 1), broker
assert 0 < broker["kept_bytes"] < 10000 and 0 < broker["dead_bytes"] < 10000, broker
assert 0 < broker["dead_oldest_ms"] <= broker["kept_oldest_ms"] < 600000, broker
PY
}
ok aged
ok "$MP" job drop ends -b "$url"
ok "$MP" dead drop --all -b "$url" >/dev/null
status 0 "$MP" stat --broker "$url"
says out '^kept: 0 jobs with 0; 0 dead letters with 0$'

# -- kept jobs count as any other: what waits of them, where, why, and whose they are
why_of() { "$MP" why --broker "$url" "$1" >out 2>/dev/null && grep -q -e "$2" out; }
ok "$MP" map --broker "$url" --detach --id nap --chunk 1 -- sleep <<<$'1000\n1000\n1000' >/dev/null
wait_for running
status 0 "$MP" stat --broker "$url"
says out ' 1 job$'
says out '^2 calls queued, 1 at workers; the oldest waits [0-9.]* s$'
says out '^mp.exec  *2  *1 '
says out '^-  *nap  *mp.exec .* 2  *0  *1 '
ok python3 - <<'PY'
import json
stat = json.load(open("json"))
[job] = stat["jobs"]
assert stat["broker"]["queued"] == 2 and stat["broker"]["kept_held"] is False, stat["broker"]
assert job["client"] is None and job["id"] == "nap" and job["kept"] is True, job
assert job["queued"] == 2 and job["given"] == 1, job
PY
status 0 "$MP" why --broker "$url"
says out '^nap mp.exec: queued$'
says out "workers that offer 'mp.exec' and are busy: 1"
status 0 "$MP" why --broker "$url" nap/0
says out '^nap/0 mp.exec: running$'
status 0 "$MP" why --broker "$url" --json nap/2
ok python3 - <<'PY'
import json
one = json.load(open("out"))
assert one["job"] == "nap" and one["call"] == 2 and one["kept"] and one["state"] == "queued", one
assert {"busy", "behind"} == {reason["kind"] for reason in one["reasons"]}, one
PY
ok "$MP" map --broker "$url" --detach --id picky --needs gpu=1 -- echo <<<x >/dev/null
status 0 "$MP" why --broker "$url" picky
says out "workers that offer 'mp.exec', but not what it needs (gpu=1): 1; the call fails in"
ok "$MP" job drop picky -b "$url"
ok "$MP" job drop nap -b "$url"
wait_for why_says '^no calls wait$'
status 1 "$MP" why --broker "$url" nap

# -- one that is delayed, one that is tried again, and one that waits to be fetched
ok "$MP" map --broker "$url" --detach --id later --delay-ms 600000 -- echo <<<x >/dev/null
status 0 "$MP" why --broker "$url" later
says out '^later mp.exec: delayed$'
says out 'its delay is over in [0-9]*\.[0-9] s$'
status 0 "$MP" stat --broker "$url"
says out '^-  *later  *mp.exec .* 0  *1  *0 '
ok "$MP" job drop later -b "$url"
ok "$MP" map --broker "$url" --detach --id ended -- echo <<<x >/dev/null
ok "$MP" job wait ended -b "$url"
status 0 "$MP" why --broker "$url" ended
says out '^ended mp.exec: over$'
says out 'all of its calls have ended (1); mp job fetch ended gets'
status 0 "$MP" stat --broker "$url"
says out ' 0 jobs$'
ok "$MP" job drop ended -b "$url"

# -- one whose maker has gone without a word
mkfifo feed
"$MP" map --broker "$url" --id feeder -- echo <feed >/dev/null 2>&1 &
feeder=$!
exec 8>feed
echo x >&8
# Its one input has come, and has ended.
is_fed() { why_of feeder ': open$' && grep -q 'its maker is connected, and may give it more than 1 inputs' out; }
wait_for is_fed
kill -KILL $feeder
wait $feeder || true
exec 8>&-
wait_for why_of feeder 'its maker is gone and has not closed it: it is waited for, [0-9.]* s more, with 1 inputs'
why_says '^feeder mp.exec: open$' || fail "a job that waits for its maker is not told: $(cat out)"
ok "$MP" job drop feeder -b "$url"

# -- how executors come and go
status 1 "$MP" map --broker "$url" --shell -- 'kill -KILL $PPID' <<<x
executors_say() { "$MP" stat --broker "$url" --json >json && python3 - "$1" <<'PY'
import json, sys
stat = json.load(open("json"))
broker, worker = stat["broker"], stat["workers"][0]
for one in broker, worker:
    told = {name: value for name, value in one.items() if name.startswith("executors_")}
    assert eval(sys.argv[1], told), told
PY
}
ok executors_say 'executors_crashed == 1 and executors_retired == 0'
wait_for executors_say 'executors_started == 2 + executors_stopped and executors_memory == 0'
