#!/usr/bin/env bash
# deploy/compose.yaml by a real engine: the image is built, the main job's results are those of
# sha256sum, and a job goes on, and ends right, while workers come and go, one of them and then the
# broker is killed, and the workers are cut off.
. "$MP_SOURCE/tests/deploy/lib.sh"
. "$MP_SOURCE/tests/deploy/engine.sh"
required=MP_REQUIRE_COMPOSE
need_root
packages docker.io docker-compose mmdebstrap iproute2
cleanup() { clean_engine; }

base_image
echo "engine $(/usr/sbin/dockerd --version | sed 's/Docker version //; s/,.*//'), docker-compose" \
    "$(docker-compose version --short), base image: a stand-in for debian:bookworm-slim, made by" \
    "mmdebstrap ($(du -m "$base" | cut -f1) MB, so sizes here are not the real image's)"
export COMPOSE_PROJECT_NAME=mpdeploy MP_FOLDER=$work/files MP_PROCS=2
files=(-f "$MP_SOURCE/deploy/compose.yaml")
compose() { docker-compose "${files[@]}" "$@"; }

# -- the image
engine_for_builds
if [ -n "${MP_DEPLOY_IMAGE:-}" ]; then
    step "not built: the image of $MP_DEPLOY_IMAGE"
    $docker load -q -i "$MP_DEPLOY_IMAGE" >load.log
else
    step "building the image"
    DOCKER_BUILDKIT=${MP_BUILDKIT:-1} $docker build --network=host -f "$MP_SOURCE/deploy/Dockerfile" \
        -t libmp "$MP_SOURCE" >build.log 2>&1 </dev/null || fail "$(tail -n 30 build.log)"
fi
[ "$($docker run --rm --network=none libmp id -u)" = 10001 ] || fail "the image runs as root"
for word in HEALTHCHECK STOPSIGNAL; do says "$MP_SOURCE/deploy/Dockerfile" "^$word"; done
says <($docker image inspect -f '{{.Config.StopSignal}} {{.Config.Healthcheck.Test}}' libmp) \
    'SIGTERM .CMD mp ping'
step "image: $(($($docker image inspect -f '{{.Size}}' libmp) / 1000000)) MB, of which" \
    "$(($($docker image inspect -f '{{.Size}}' debian:bookworm-slim) / 1000000)) the base"
engine_for_containers

# -- the main job, as the README has it
mkdir -p files
cp -r "$MP_SOURCE"/libmp/src/* files
# containers SERVICE: those that run.
containers() { $docker ps -q -f "label=com.docker.compose.service=$1"; }
running() { [ "$(containers "$1" | wc -l)" = "$2" ]; }
all_ended() { [ "$($docker inspect -f '{{.State.Status}}' "$1")" = exited ]; }
# workers N: the broker sees so many.
workers() { compose exec -T broker mp ping --json 2>/dev/null | grep -q "\"workers\":$1,"; }

step "up --scale worker=2"
compose up -d --no-build --scale worker=2 >up.log 2>&1 </dev/null || fail "$(cat up.log)"
job=$($docker ps -aq -f label=com.docker.compose.service=job)
patiently 60 all_ended "$job"
[ "$($docker inspect -f '{{.State.ExitCode}}' "$job")" = 0 ] || fail "job: $($docker logs "$job" 2>&1 | tail)"
$docker logs "$job" 2>/dev/null | awk '{ print $1, $4 }' >ours
(cd files && find . -type f | LC_ALL=C sort | sed 's|^\./||' | xargs sha256sum | sed 's|  | /data/|') >theirs
[ "$(wc -l <theirs)" -gt 100 ] || fail "few files"
same ours theirs
step "main job: $(wc -l <ours) files, all as sha256sum has them"

compose down -v >down.log 2>&1 </dev/null || fail "$(cat down.log)"

# -- with keys, over tcp; only in this test may clients have commands run: the job that follows is
# slow by sleeping, not by computing
cat >test.yaml <<'END'
services:
  worker:
    environment:
      MP_ALLOW_EXEC: "yes"
END
files+=(-f "$MP_SOURCE/deploy/compose.keys.yaml" -f "$work/test.yaml")
export MP_KEYS_FOLDER=$work/keys MP_PORT=15555
step "keys"
mkdir keys
compose run --rm keys >keys.log 2>&1 </dev/null || fail "$(cat keys.log)"
[ "$(stat -c '%u %a' keys/server.key keys/client.key | sort -u)" = "10001 600" ] || fail "$(ls -ln keys)"
compose up -d --no-build --scale worker=2 broker worker >up.log 2>&1 </dev/null || fail "$(cat up.log)"
patiently 30 workers 2
ok compose run --rm mp ping --timeout-ms 30000 </dev/null >ping 2>&1
status 1 compose run --rm -e MP_KEY_FILE= mp ping --timeout-ms 30000 </dev/null
grep -q 'MP_KEY_FILE' out err || fail "without a key: $(cat out err)"
# From outside, by the port.
cp keys/client.key .
ok nsenter "--net=/run/netns/$namespace" "$MP" ping --broker tcp://127.0.0.1:$MP_PORT --key-file client.key

# -- one job through all that follows: it is given lines as long as something is still to happen
mkfifo lines
compose run -T --rm -e MP_PROCS mp map --shell --unordered --retries 9 --no-progress -- \
    'sleep 0.2; echo {}' <lines >seen 2>job.err &
job=$!
started+=("$job")
exec 9>lines
last=0
feed() {
    seq $((last + 1)) $((last + $1)) >&9
    last=$((last + $1))
}
more_than() { [ "$(wc -l <seen)" -gt "$1" ]; }
# goes_on: results come of lines that were given only now; of those there are more than it waits for.
goes_on() {
    local before=$last
    feed 40
    patiently 40 more_than "$before"
}
feed 20
goes_on
step "scaling up to 4 during a job"
compose up -d --no-build --no-recreate --no-deps --scale worker=4 worker >up.log 2>&1 </dev/null || fail "$(cat up.log)"
patiently 30 workers 4
goes_on

restarts() { [ "$($docker inspect -f '{{.RestartCount}}' "$1")" -ge "$2" ]; }
# To the engine `docker kill` is a wish to stop; this is a crash.
crash() { kill -9 "$($docker inspect -f '{{.State.Pid}}' "$1")"; }
one=$(containers worker | head -n 1)
step "kill -9 of a worker"
crash "$one"
patiently 30 restarts "$one" 1
patiently 30 workers 4
goes_on

step "a worker is cut off, and comes back"
network=${COMPOSE_PROJECT_NAME}_default
$docker network disconnect "$network" "$one"
patiently 30 workers 3
goes_on
$docker network connect "$network" "$one"
patiently 30 workers 4
goes_on

step "kill -9 of the broker"
broker=$(containers broker)
crash "$broker"
patiently 30 restarts "$broker" 1
patiently 30 workers 4
goes_on

step "scaling down to 1 during a job"
compose up -d --no-build --no-recreate --no-deps --scale worker=1 worker >up.log 2>&1 </dev/null || fail "$(cat up.log)"
running worker 1 || fail "not scaled down"
patiently 30 workers 1
goes_on
exec 9>&-
step "the job ends"
exits "$job" 0
sort -n seen >sorted
seq "$last" >wanted
same sorted wanted

# -- a clean stop
step "stop"
compose stop >stop.log 2>&1 </dev/null || fail "$(cat stop.log)"
for id in $($docker ps -aq -f label=com.docker.compose.service=broker -f label=com.docker.compose.project=mpdeploy) \
    $($docker ps -aq -f label=com.docker.compose.service=worker); do
    says <($docker inspect -f '{{.Name}} ended with {{.State.ExitCode}}' "$id") 'ended with 0$'
done
compose down -v >down.log 2>&1 </dev/null || fail "$(cat down.log)"
[ -z "$($docker volume ls -q)" ] || fail "volumes are left"
step "done"
