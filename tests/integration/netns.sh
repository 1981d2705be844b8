# netns.sh: three hosts, as network namespaces with names and addresses of their own on a bridge
# that has no way out. Source it behind lib.sh. $h1, $h2 and $h3 are programs that run another one
# on that host: $h2 hostname says h2. Needs root, iproute2 and nftables; else the test is skipped.
# shellcheck shell=bash disable=SC2154
net=mp$$
broker_address=10.77.0.1

skip() {
    echo "SKIP: hosts in network namespaces: $*"
    exit 77
}

tear_down() {
    local host
    for host in sw 1 2 3; do ip netns del "$net-$host" 2>/dev/null || true; done
}

make_hosts() {
    local host tool
    [ "$(id -u)" = 0 ] || skip "not root"
    for tool in ip nft tc nsenter unshare; do
        command -v $tool >/dev/null || skip "there is no $tool"
    done
    ip netns add "$net-sw" 2>skipped || skip "$(cat skipped)"
    ip -n "$net-sw" link add br0 type bridge
    ip -n "$net-sw" link set br0 up
    make_call
    for host in 1 2 3; do
        ip netns add "$net-$host"
        ip link add eth0 netns "$net-$host" type veth peer name "p$host" netns "$net-sw"
        ip -n "$net-sw" link set "p$host" master br0 up
        ip -n "$net-$host" link set lo up
        ip -n "$net-$host" addr add "10.77.0.$host/24" dev eth0
        ip -n "$net-$host" link set eth0 up
        cat >"h$host" <<END
#!/bin/sh
exec nsenter --net=/run/netns/$net-$host unshare --uts sh -c 'hostname h$host; exec "\$@"' sh "\$@"
END
        chmod +x "h$host"
        declare -g "h$host=$work/h$host"
    done
}

# rules HOST INPUT OUTPUT: what becomes of packets there; nft's words, or nothing.
rules() {
    heal "$1"
    nsenter --net="/run/netns/$net-$1" nft -f - <<END
table inet weather {
    chain in { type filter hook input priority 0; ${2:+iifname eth0 $2;} }
    chain out { type filter hook output priority 0; ${3:+oifname eth0 $3;} }
}
END
}

sever() { rules "$1" drop drop; }      # nobody is told
sever_in() { rules "$1" drop ''; }     # it is heard, but hears nothing
sever_out() { rules "$1" '' drop; }    # it hears, but isn't heard
lose() { rules "$1" "numgen random mod 100 < $2 drop" ''; } # HOST PERCENT
slow() { tc -n "$net-$1" qdisc add dev eth0 root tbf rate "$2" burst 4kb latency 400ms; } # HOST RATE

heal() {
    local host
    for host; do
        nsenter --net="/run/netns/$net-$host" nft 'add table inet weather; delete table inet weather'
        tc -n "$net-$host" qdisc del dev eth0 root 2>/dev/null || true
    done
}

# Who listens beyond its own host has keys. One serves all of ours: the test is of the network.
broker_options() {
    "$MP" keygen keys >/dev/null
    "$MP" keygen --name all --role submit,work,read keys >/dev/null
    export MP_KEY_FILE=$work/keys/all.key
    options=(--listen "tcp://$broker_address:5555" --keys "$work/keys")
}

# start_far_broker [OPTION]...: on host 1; sets broker, and url as all hosts see it.
start_far_broker() {
    local log=broker.$((brokers = ${brokers:-0} + 1))
    [ "$brokers" != 1 ] || broker_options
    background "$log" "$h1" "$MP_BROKER_BIN" "${options[@]}" "$@"
    broker=$pid
    wait_for grep -q '^ready ' "$log.out"
    url=$(sed -n 's/^ready //p' "$log.out")
}

# start_far_worker HOST NAME [OPTION]...: sets worker.
start_far_worker() {
    local host=$1 name=$2
    shift 2
    background "$name" "$work/h$host" "$MP_WORKER_BIN" --broker "$url" --name "$name" "$@"
    worker=$pid
    wait_for grep -q '^ready ' "$name.out"
}

# broker_says PATTERN: what the broker answers, asked on its own host.
broker_says() { "$h1" "$MP" ping --broker "$url" 2>&1 | grep -q -e "$1"; }

# A call leaves a line in $work/ran when it begins, with its host, and one in $work/ended.
make_call() {
    cat >call <<END
#!/bin/sh
echo "\$1 \$(hostname)" >>$work/ran
sleep \$2
echo "\$1 \$(hostname)" >>$work/ended
echo "result \$1"
END
    chmod +x call
}

# run NAME CALLS SECONDS [OPTION]...: from the third host, in the background; sets map.
run() {
    local name=$1 calls=$2 seconds=$3
    shift 3
    : >ran
    : >ended
    seq "$calls" >"$name.in"
    sed 's/^/result /' "$name.in" >"$name.wanted"
    "$h3" "$MP" map --broker "$url" --chunk 1 "$@" -- "$work/call" '{}' "$seconds" \
        <"$name.in" >"$name.got" 2>"$name.err" &
    map=$!
}

# once NAME HOST...: all results are there, each once; calls that ran twice had begun on one of
# these hosts, which were lost, before.
once() {
    local name=$1 lost=" ${*:2} " call hosts
    same "$name.got" "$name.wanted"
    while read -r call; do
        hosts=$(sed -n "s/^$call //p" ran | sort | tr '\n' ' ')
        [[ $lost == *" ${hosts%% *} "* || $lost == *" $(cut -d' ' -f2 <<<"$hosts") "* ]] ||
            fail "$name: call $call ran on: $hosts"
    done < <(cut -d' ' -f1 ran | sort | uniq -d)
    checks=$((checks + 1))
}

# known NAME: the broker has lost that peer, since `began`. 2.8 s at most, and what a loaded machine
# adds.
began() {
    heard=$(wc -l <"broker.$brokers.err")
    severed_at=$(date +%s%3N)
}
lost() { tail -n +$((heard + 1)) "broker.$brokers.err" | grep "event=[a-z]*_left .*[=@]$1" >left; }
known() {
    local took
    wait_for lost "$1"
    took=$(($(date -d "$(sed -n '1s/^ts=\([^ ]*\) .*/\1/p' left)" +%s%3N) - severed_at))
    echo "$1: lost, and known after $took ms"
    [ $took -le 3500 ] || fail "it took $took ms until the broker knew that it had lost $1"
    checks=$((checks + 1))
}
