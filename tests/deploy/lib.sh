# lib.sh: what the deployment tests share, beside tests/integration/lib.sh. They run real engines
# and services, so they need root, and packages that start services where they are installed;
# those only come onto machines where MP_DEPLOY_TESTS=1 says so.
# shellcheck shell=bash
# shellcheck source=tests/integration/lib.sh
. "$MP_SOURCE/tests/integration/lib.sh"

# What is installed once and kept between runs: the base image of containers.
cache=${MP_DEPLOY_CACHE:-/var/cache/libmp-deploy}
begin=$SECONDS
step() { printf '[%3d s] %s\n' $((SECONDS - begin)) "$*"; }

# skip WHY: this test did not run. $required (a variable's name): with 1 in it that is a failure.
required=
skip() {
    echo "SKIP $(basename "$0"): $*"
    if [ -n "$required" ] && [ "${!required:-0}" = 1 ]; then fail "$required=1, and skipped: $*"; fi
    exit 77
}

# packages PACKAGE...: have them, or skip. None starts what it brings along.
packages() {
    local package missing=() barred=
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    [ "${MP_DEPLOY_TESTS:-0}" = 1 ] ||
        skip "not installed: ${missing[*]}; MP_DEPLOY_TESTS=1 installs them"
    step "installing ${missing[*]}"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        barred=1
    fi
    {
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
            install -y -q --no-install-recommends "${missing[@]}"
    } >apt.log 2>&1 </dev/null || missing+=("FAILED")
    [ -z "$barred" ] || rm -f /usr/sbin/policy-rc.d
    [ "${missing[-1]}" != FAILED ] || skip "can't be installed: $(tail -n 1 apt.log)"
}

need_root() { [ "$(id -u)" = 0 ] || skip "not root"; }

# base_image: sets base to a tar of a small Debian, made once.
base_image() {
    local sources=() file
    base=$cache/base.tar
    [ ! -s "$base" ] || return 0
    step "making a base image"
    mkdir -p "$cache"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
        [ ! -s "$file" ] || sources+=("$file")
    done
    # The name decides the format, so it must end in .tar.
    mmdebstrap --quiet --variant=minbase bookworm "$cache/base.$$.tar" "${sources[@]}" \
        >mmdebstrap.log 2>&1 </dev/null || {
        rm -f "$cache/base.$$.tar"
        skip "no base image: $(tail -n 1 mmdebstrap.log)"
    }
    mv "$cache/base.$$.tar" "$base"
}

# A test's own clean-up, before that of lib.sh.
cleanup() { :; }
deploy_finish() {
    local result=$?
    trap - ERR EXIT
    set +eE
    cleanup
    umount_all
    (exit $result)
    finish
}
trap deploy_finish EXIT

# Whatever is mounted below our folder: removing that must not go into it.
umount_all() {
    local path
    cut -d' ' -f2 /proc/self/mounts | grep "^$work/" | sort -r |
        while read -r path; do umount -l "$path"; done
}

# patiently SECONDS COMMAND...: as wait_for, for what takes longer on a busy machine.
patiently() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "waited in vain for: $*"
        sleep 0.1
    done
}
