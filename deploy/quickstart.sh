#!/usr/bin/env bash
# Install what is needed, build into build/, and run the main job: SHA-256, size and line
# count of every file below a folder (default /usr/include), with local workers and then
# over a broker. Usage: deploy/quickstart.sh [FOLDER]
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-/usr/include}
build=$top/build
work=$(mktemp -d)
pids=()

finish() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

step() { printf '\n== %s\n' "$*"; }
die() {
    echo "quickstart: $*" >&2
    exit 1
}

# ready_line FILE PID: what follows "ready " in FILE, once it is there.
ready_line() {
    local deadline=$((SECONDS + 15))
    until grep -qs '^ready ' "$1"; do
        kill -0 "$2" 2>/dev/null || die "it ended early: $(cat "$1.log")"
        [ $SECONDS -lt $deadline ] || die "not ready after 15 s: $(cat "$1.log")"
        sleep 0.05
    done
    sed -n 's/^ready //p' "$1"
}

# timed NAME COMMAND...: run it, and say how long it took, beside its output.
exec 3>&1
timed() {
    local name=$1 begin end
    shift
    begin=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    printf '   %-34s %6d ms\n' "$name" $(((end - begin) / 1000000)) >&3
}

[ -d "$folder" ] || die "$folder is no folder"

# with_progress WORDS LOG COMMAND...: its output goes to LOG, and every ten seconds a line tells how
# long it has been at it, with the last step that it names.
with_progress() {
    local words=$1 log=$2 begin=$SECONDS said=$SECONDS child status=0
    shift 2
    "$@" >"$log" 2>&1 &
    child=$!
    pids+=("$child")
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        if [ $((SECONDS - said)) -ge 10 ]; then
            said=$SECONDS
            printf '   %s: %d s, %s\n' "$words" $((SECONDS - begin)) \
                "$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-70)"
        fi
    done
    wait "$child" || status=$?
    unset 'pids[-1]'
    return $status
}

step "Packages"
"$top/deploy/install-packages.sh" build # not in the background: it may ask, and be interrupted
echo "   all there"

step "Build into $build: some minutes, at first"
cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >"$work/cmake.log" 2>&1 ||
    die "$(cat "$work/cmake.log")"
with_progress "building" "$work/build.log" cmake --build "$build" || die "$(tail -n 40 "$work/build.log")"
mp=$build/cli/mp
module=$build/docs/examples/filesum.so
echo "   $("$mp" --version)"

step "Input: every regular file below $folder"
find "$folder" -type f ! -name '*
*' | LC_ALL=C sort >"$work/files"
echo "   $(wc -l <"$work/files") files, for example $(head -n 1 "$work/files")"
[ -s "$work/files" ] || die "there are no files below $folder"

step "With local worker processes: no daemon, no configuration"
echo "   mp map --load filesum.so --task filesum < files"
timed "local, $(nproc) workers" "$mp" map --broker local --load "$module" --task filesum \
    <"$work/files" >"$work/local"
head -n 2 "$work/local" | cut -c 1-100 | sed 's/^/   /'

step "Over a broker on loopback tcp, with two mp-worker processes"
"$build/broker/mp-broker" --listen 'tcp://127.0.0.1:*' >"$work/broker" 2>"$work/broker.log" &
pids+=($!)
url=$(ready_line "$work/broker" $!)
echo "   mp-broker is $(sed -n 's/^ready/ready on/p' "$work/broker")"
for n in 1 2; do
    "$build/worker/mp-worker" --broker "$url" --procs 1 --load "$module" \
        >"$work/worker$n" 2>"$work/worker$n.log" &
    pids+=($!)
    ready_line "$work/worker$n" $! >/dev/null
done
echo "   $("$mp" ping --broker "$url")"
echo "   mp map --broker $url --task filesum < files"
timed "over the broker, 2 mp-workers" "$mp" map --broker "$url" --task filesum \
    <"$work/files" >"$work/remote"

step "Compare"
cmp "$work/local" "$work/remote" || die "the two outputs differ"
echo "   local and remote outputs are identical: $(wc -l <"$work/local") lines, in input order"
sha256sum_all() { xargs -d '\n' sha256sum <"$work/files" | cut -c 1-64 >"$work/theirs"; }
timed "sha256sum, one process" sha256sum_all
cut -c 1-64 "$work/local" >"$work/ours"
cmp "$work/ours" "$work/theirs" || die "the hashes differ from sha256sum's"
echo "   all $(wc -l <"$work/ours") hashes agree with sha256sum's"

step "Try next"
cat <<TEXT
   find . -name '*.h' | $mp map -- wc -l {}
   $build/docs/examples/square                          # docs/examples/square.c
   $mp map --help
   tests/run.sh                                         # all tests
TEXT
