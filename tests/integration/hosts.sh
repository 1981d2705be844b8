#!/usr/bin/env bash
# Three hosts: broker and a worker on the first, a worker on the second, a client on the third. The
# second one vanishes, both ways and one way, without a word, and comes back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
make_hosts

start_far_broker
start_far_worker 1 w1 --procs 1 --allow-exec
start_far_worker 2 w2 --procs 2 --allow-exec
two=$worker
ok "$h3" "$MP" ping --broker "$url"

# -- calls run on both hosts, and a failure says where
run plain 60 0.02
exits $map 0
once plain
for host in h1 h2; do says ran " $host$"; done
status 1 "$h3" "$MP" map --broker "$url" -- sh -c 'hostname; exit 7' <<<x
says err 'exit status 7.* on h[12]'

# -- a host vanishes: its calls run elsewhere
run vanished 12 0.3 --retries 2
wait_for grep -q h2 ran
sever 2
began
known w2
exits $map 0
once vanished h2

# -- it comes back, and what it has to say of calls that others have had is for nobody
heal 2
wait_for broker_says ' 2 workers '
run healed 40 0.02
exits $map 0
once healed

# -- one way only: the worker isn't heard; then it hears nothing
for way in sever_out sever_in; do
    run $way 9 0.3 --retries 2
    wait_for grep -q h2 ran
    $way 2
    began
    known w2
    exits $map 0
    once $way h2
    heal 2
    wait_for broker_says ' 2 workers '
done
