#!/bin/sh
# Install the Debian packages that a purpose needs: build, test (which includes build), or bench
# (which includes test, and the rivals of the benchmarks; Debian may start gearman's server as a
# service).
# Does nothing where all of them are there. Needs root, or sudo.
set -eu

build="gcc libc6-dev cmake ninja-build pkg-config libzmq3-dev libczmq-dev libprotobuf-c-dev
protobuf-c-compiler libjansson-dev libsodium-dev liblmdb-dev libmicrohttpd-dev uthash-dev
libssl-dev"
test="$build g++ clang libclang-rt-14-dev clang-format clang-tidy check mandoc shellcheck python3
universal-ctags procps binutils iproute2 nftables curl protobuf-compiler python3-protobuf
python3-zmq"
# redis-server would start one; its program is redis-tools' redis-check-rdb by another name.
bench="$test redis-tools libhiredis-dev gearman-job-server libgearman-dev
python3-distributed"

case "${1:-}" in
build) packages=$build ;;
test) packages=$test ;;
bench) packages=$bench ;;
*)
    echo "usage: $0 build|test|bench" >&2
    exit 64
    ;;
esac

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "$0: needs root or sudo to install:$missing" >&2
        exit 77
    }
    as_root="sudo"
fi

echo "installing:$missing"
install="env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
# shellcheck disable=SC2086  # lists of words
if ! $as_root $install $missing >/dev/null 2>&1; then
    $as_root apt-get update -q >/dev/null
    $as_root $install $missing >/dev/null
fi
