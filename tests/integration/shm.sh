#!/usr/bin/env bash
# mp shm: what is there, and what is cleared.
. "$(dirname "$0")/lib.sh"

name=shm-test-$$
mkfifo hold
forget() { rm -f /dev/shm/mp-"$name"-*; }
trap 'forget; finish' EXIT

status 0 "$MP_LEAVE_BLOCK" $name-kept 2000 keep
"$MP_LEAVE_BLOCK" $name-used 3000 hold <hold >used.out &
holder=$!
started+=("$holder")
exec 3>hold
wait_for grep -q made used.out
# The last one: whoever makes a block clears up after the dead first.
status 137 "$MP_LEAVE_BLOCK" $name-dead 1000 kill

status 0 "$MP" shm ls
says out " 1000 .* left    $name-dead\$"
says out " 2000 .* kept    $name-kept\$"
says out " 3000 .* $holder  in use  $name-used\$"
status 0 "$MP" shm --json ls
says out "{\"name\":\"$name-dead\",\"bytes\":1000,\"creator\":[0-9]*,\"creator_lives\":false,\"in_use\":false,\"kept\":false}"
says out "{\"name\":\"$name-used\",\"bytes\":3000,\"creator\":$holder,\"creator_lives\":true,\"in_use\":true,\"kept\":false}"

status 0 "$MP" shm reap
says out 'removed'
[ ! -e /dev/shm/mp-$name-dead ] || fail "the dead one's block is still there"
[ -e /dev/shm/mp-$name-kept ] || fail "what was to be kept is gone"
[ -e /dev/shm/mp-$name-used ] || fail "what is in use is gone"
status 0 "$MP" shm reap --json
says out '^{"blocks":[0-9]*,"bytes":[0-9]*}$'

kill -KILL "$holder" # and it isn't in use any more
wait_for bash -c "'$MP' shm ls | grep -q ' left    $name-used'"
status 0 "$MP" shm reap
[ ! -e /dev/shm/mp-$name-used ] || fail "a killed holder's block is still there"

status 2 "$MP" shm
says err 'ls or reap'
status 2 "$MP" shm rm
status 2 "$MP" shm ls more
status 2 "$MP" shm ls --wrong
status 0 "$MP" shm --help
says out 'reap'
status 0 "$MP" help shm
"$MP" shm ls >/dev/full 2>err && fail "a full disk went unnoticed"
"$MP" shm ls | head -n 0
