# engine.sh: a container engine that is this test's own: its data, its socket, and while containers
# run its network namespace, from which nothing leaves this machine and no firewall rule remains.
# shellcheck shell=bash
docker=/usr/bin/docker # Debian's: another that comes first in PATH may lack BuildKit
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/docker-config
namespace=mp-deploy-$$
engine=

# start_engine [PREFIX...] -- [OPTION]...: dockerd, by that prefix. Fails if it doesn't come up.
start_engine() {
    local prefix=() deadline=$((SECONDS + 30))
    while [ "$1" != -- ]; do
        prefix+=("$1")
        shift
    done
    shift
    "${prefix[@]}" /usr/sbin/dockerd --data-root "$work/data" --exec-root "$work/exec" \
        --pidfile "$work/dockerd.pid" -H "$DOCKER_HOST" "$@" >>dockerd.log 2>&1 </dev/null &
    engine=$!
    until $docker info >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ] || ! alive $engine; then return 1; fi
        sleep 0.1
    done
}

# It takes its containerd along.
stop_engine() {
    [ -n "$engine" ] || return 0
    kill "$engine" 2>/dev/null || true
    timeout 30 tail --pid="$engine" -f /dev/null || kill -9 "$engine"
    wait "$engine" 2>/dev/null || true
    engine=
}

clean_engine() {
    if [ -n "$engine" ]; then
        $docker ps -aq | xargs -r $docker rm -f >/dev/null 2>&1
        stop_engine
    fi
    local deadline=$((SECONDS + 5)) # what was killed a moment ago may still hold it
    while [ -e "/run/netns/$namespace" ] && [ $SECONDS -lt $deadline ]; do
        ip netns del "$namespace" 2>/dev/null || sleep 0.2
    done
    return 0
}

# engine_for_builds: one that shares this machine's network, and touches nothing of it.
engine_for_builds() {
    start_engine -- --bridge=none --iptables=false --ip6tables=false --ip-forward=false ||
        skip "dockerd does not start: $(tail -n 1 dockerd.log)"
    $docker import --change 'CMD ["bash"]' "$base" debian:bookworm-slim >/dev/null 2>smoke.log &&
        $docker run --rm --network=none debian:bookworm-slim true 2>>smoke.log ||
        skip "the engine can't run a container: $(tail -n 1 smoke.log)"
}

# The same data again, in a namespace without a way out.
engine_for_containers() {
    stop_engine
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
    # Not by `ip netns exec`, which mounts a /sys without cgroups.
    start_engine nsenter "--net=/run/netns/$namespace" -- ||
        skip "dockerd does not start in a network namespace: $(tail -n 1 dockerd.log)"
}
