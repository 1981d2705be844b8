#!/usr/bin/env bash
# mp lock: who holds and awaits locks, as text and as JSON; and what it says where it can't.
. "$(dirname "$0")/lib.sh"

printf 'secret\n' >key
printf 'wrong\n' >wrong
mkfifo input
background holder bash -c "exec '$MP_HOLD_LOCK' secret <input"
holder=$pid
exec 9>input
wait_for grep -q '^ready ' holder.out
read -r _ address held_by awaited_by <holder.out
host=$(hostname)

# -- text
status 0 "$MP" lock --broker "$address" --manager-key key
says out '^leader\\x1b\[7m  lock$'
says out "^    held by $host:$held_by, token [1-9][0-9]*, since [0-9.]* s\$"
says out "^    $host:$awaited_by waits\$"
says out '^#[1-9][0-9]*  semaphore, 1 free$'
says out "^    held by $host:$held_by, 2 units, since [0-9.]* s\$"
[ "$(wc -l <out)" = 5 ] || fail "more than it should say: $(cat out)"

# -- JSON
status 0 "$MP" lock -b "$address" -k key --json
[ "$(wc -l <out)" = 2 ] || fail "not a line for each: $(cat out)"
ok python3 - "$host" "$held_by" "$awaited_by" <<'PY'
import json, sys
host, holder, waiter = sys.argv[1:]
lines = [json.loads(line) for line in open("out")]
lock = next(one for one in lines if one["type"] == "lock")
semaphore = next(one for one in lines if one["type"] == "semaphore")
assert lock["name"] == "leader\x1b[7m" and lock["id"] > 0, lock
assert [one["client"] for one in lock["held"]] == [f"{host}:{holder}"], lock
assert lock["held"][0]["token"] > 0 and lock["held"][0]["held_ms"] >= 0, lock
assert lock["waiting"] == [f"{host}:{waiter}"] and "value" not in lock, lock
assert semaphore["value"] == 1 and semaphore["waiting"] == [] and semaphore["name"] == "", semaphore
assert semaphore["held"][0]["units"] == 2, semaphore
PY
MP_BROKER=$address status 0 "$MP" lock -k key
status 4 bash -c "'$MP' lock -b '$address' -k key >/dev/full"

# -- where it can't
status 1 "$MP" lock -b "$address" -k wrong
says err 'the keys differ'
status 1 "$MP" lock -b "$address"
says err 'asks for a key'
status 1 "$MP" lock -b "$address" -k nothing
says err 'mp lock: nothing: No such file'
status 1 "$MP" lock -b tcp://127.0.0.1:1
status 2 "$MP" lock -b nonsense
status 2 "$MP" lock -b local
status 2 "$MP" lock what
status 2 "$MP" lock --what
status 0 "$MP" help lock
says out '^Usage: mp lock'
status 0 "$MP" lock -h

exec 9>&-
exits "$holder" 0
status 1 "$MP" lock -b "$address" -k key
