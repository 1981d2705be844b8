#!/usr/bin/env bash
# A call that runs is soon known to run, though nobody has asked: so it isn't run once more when all
# of its host is lost.
. "$(dirname "$0")/lib.sh"

start_broker
start_worker first --procs 1 --allow-exec
first=$worker
"$MP" map --broker "$url" -- sh -c "echo run >>$work/runs; sleep 60" <<<x >map.out 2>map.err &
map=$!
wait_for test -s runs
# Not mp stat, which asks the workers as well.
runs() { "$MP" why --broker "$url" 1/1/0 >why && grep -q ': running$' why; }
wait_for runs
start_worker second --procs 1 --allow-exec
kill -KILL "$first"
exits "$map" 1
says map.err 'lost'
same runs <(echo run)
