#!/usr/bin/env bash
# Chaos on three hosts: maps go on and on while executors, workers and the broker (with a data
# directory) are killed or stopped at random, links are cut, both ways and one way, and lose packets.
# Each map prints what it prints on one machine; the broker's memory stays small.
# MINUTES=10: for so long, else some seconds. SEED=N: the same order of events again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
make_hosts

seconds=$((${MINUTES:-0} * 60))
[ $seconds -gt 0 ] || seconds=10
: "${SEED:=$((RANDOM * 32768 + RANDOM))}"
most_kib=65536 # of the broker's own memory
patience=120   # for what is open when the chaos ends
echo "seed $SEED, $seconds s"
RANDOM=$SEED

# -- who is there
workers=(0 0 0) # by host
start_workers() { # HOST
    start_far_worker "$1" "w$1" --procs 2 --allow-exec --load "$MP_FILESUM" --log-level warning
    workers[$1]=$worker
}
start_far_broker --data "$work/data" --log-level warning
start_workers 1
start_workers 2

find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,3000p >files.in
ok "$MP" map --load "$MP_FILESUM" --task filesum <files.in >files.wanted
seq 150 >commands.in
sed 's/^/did /' commands.in >commands.wanted

# maps NAME OPTION...: one after the other, until the chaos is over.
maps() {
    local name=$1 n=0 status
    shift
    while [ ! -e over ]; do
        n=$((n + 1)) status=0
        "$h3" "$MP" map --broker "$url" --retries 100 "$@" <"$name.in" >"$name.got" 2>"$name.err" ||
            status=$?
        if [ $status != 0 ] || ! cmp -s "$name.got" "$name.wanted"; then
            echo "$name, map $n: exit status $status
$(diff "$name.wanted" "$name.got" | head -n 5)
$(head -n 5 "$name.err")" >>wrong
            return
        fi
        echo $n >"$name.count"
    done
}
maps files --task filesum &
clients=($!)
maps commands -- sh -c 'sleep 0.1; echo did "$0"' '{}' &
clients+=($!)
started+=("${clients[@]}")

# -- what happens
declare -A happened=()
peak_kib=0
some_time() { sleep "$((RANDOM % $1)).$((RANDOM % 10))"; } # less than so many seconds
look() {
    local kib
    kib=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$broker/status" || true)
    [ "${kib:-0}" -le $peak_kib ] || peak_kib=$kib
    [ ! -e wrong ] || fail "$(cat wrong)"
    alive "$broker" || fail "the broker ended: $(tail -n 5 "broker.$brokers.err")"
}
reap() { { wait "$1" || true; } 2>/dev/null; }
executor() { # of that worker, or nothing
    local all
    mapfile -t all < <(children mp-executor "$1")
    [ ${#all[@]} -gt 0 ] && echo "${all[RANDOM % ${#all[@]}]}"
}
stop_a_while() {
    kill -STOP "$1" && some_time 4
    kill -CONT "$1" || true
}
weather() { # HOST KIND [PERCENT]
    "$2" "$1" ${3:+"$3"}
    some_time 5
    heal "$1"
}
event() {
    local host=$((RANDOM % 2 + 1)) far=$((RANDOM % 2 + 2)) kinds what victim
    kinds=(kill_executor kill_executor kill_worker stop_executor stop_worker stop_broker
        sever sever_in sever_out lose kill_broker)
    what=${kinds[RANDOM % ${#kinds[@]}]}
    happened[$what]=$((${happened[$what]:-0} + 1))
    case $what in
    *_executor)
        victim=$(executor "${workers[host]}") || return 0
        if [ $what = kill_executor ]; then
            kill -9 "$victim" 2>/dev/null || true
        else
            stop_a_while "$victim" 2>/dev/null || true
        fi
        ;;
    kill_worker)
        kill -9 "${workers[host]}"
        reap "${workers[host]}"
        some_time 2
        start_workers $host
        ;;
    stop_worker) stop_a_while "${workers[host]}" ;;
    stop_broker) stop_a_while "$broker" ;;
    kill_broker)
        kill -9 "$broker"
        reap "$broker"
        some_time 2
        start_far_broker --data "$work/data" --log-level warning
        ;;
    lose) weather $far lose 20 ;;
    *) weather $far "$what" ;;
    esac
}
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
    some_time 2
    event
    look
done

# -- what has become of it
touch over
deadline=$((SECONDS + patience))
for client in "${clients[@]}"; do
    while alive "$client"; do
        look
        [ $SECONDS -lt $deadline ] || fail "a map did not end: $("$h1" "$MP" ping --broker "$url")
$(wc -l ./*.got ./*.wanted)"
        sleep 0.1
    done
done
look
wait_for broker_says ' 2 workers (4 executors), .* 0 queued, 0 running'
for name in files commands; do
    [ -e $name.count ] || fail "no map of $name was completed"
    checks=$((checks + $(cat $name.count)))
    echo "$name: $(cat $name.count) maps of $(wc -l <$name.in) calls, all right"
done
for what in "${!happened[@]}"; do echo "$what: ${happened[$what]}"; done | sort
echo "the broker had $peak_kib KiB at most, of $most_kib"
[ $peak_kib -le $most_kib ] || fail "the broker's memory grew"
