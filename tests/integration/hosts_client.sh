#!/usr/bin/env bash
# Three hosts, as in hosts.sh: the third one, with the clients, vanishes; links lose packets and become
# slow; a client is cut off from a broker that keeps its calls.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
make_hosts

start_far_broker
start_far_worker 1 w1 --procs 1 --allow-exec
start_far_worker 2 w2 --procs 2 --allow-exec

# -- the client's host vanishes in the middle of its inputs: nothing of it is left
awk 'BEGIN { while (length(x) < 100000) x = x "0123456789"; while (n++ < 1000) print x }' >large
"$h3" "$MP" map --broker "$url" -- sleep 0.3 <large >large.got 2>large.err &
map=$!
wait_for broker_says '[1-9] running'
sever 3
began
{ kill -9 $map && wait $map; } 2>/dev/null || true
known h3
wait_for broker_says ' 0 queued, 0 running'
heal 3

# -- packets are lost, and a link is slow: it takes longer
lose 2 5
lose 3 5
run lossy 40 0.01 --retries 3
exits $map 0
once lossy h1 h2
heal 2 3
slow 2 200kbit
slow 3 200kbit
run slow 40 0.01
wait_for test -s slow.got
ok "$h3" "$MP" ping --broker "$url"
exits $map 0
once slow
heal 2 3
# A line that is under way for four times as long as a silent peer is waited for.
slow 3 1mbit
head -c 1000000 /dev/zero | tr '\0' x >long
status 1 "$h3" "$MP" map --broker "$url" -- true <long
says err 'Argument list too long'
heal 3

# -- a broker with a data directory: its client is cut off, comes back, and nothing was run twice
kill "$broker"
exits "$broker" 0
start_far_broker --data "$work/data"
wait_for broker_says ' 2 workers '
run kept 20 0.4
wait_for grep -q h2 ran
sever 3
began
known h3
wait_for broker_says ' 0 running' # what it had submitted is done without it
heal 3
exits $map 0
once kept
