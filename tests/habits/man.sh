#!/usr/bin/env bash
# The man pages are sound, and every program, option and function is in one.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need mandoc
mandoc -Tlint -Wwarning docs/man/*.[1-8]
failed=0

# mentions PAGE TEXT...
mentions() {
    local page=$1 text rendered
    shift
    rendered=$(mandoc -Tascii -Owidth=1000 "docs/man/$page" | sed 's/.\x08//g')
    for text in "$@"; do
        grep -qF -e "$text" <<<"$rendered" || {
            echo "$page doesn't mention $text"
            failed=1
        }
    done
}
# A word that is a macro, such as In, ends a line of the SYNOPSIS in its midst; what Dq encloses ends
# with the line, so that several of them on one nest.
for page in docs/man/*.[1-8]; do
    rendered=$(mandoc -Tutf8 -Owidth=1000 "$page" | sed 's/.\x08//g')
    sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' <<<"$rendered" | grep -E '\); *[^ ]|^ *<' && {
        echo "$page: something stands behind the end of a function; is a parameter called as a macro?"
        failed=1
    }
    grep -n '””' <<<"$rendered" && {
        echo "$page: quotes in quotes; So and Sc around each"
        failed=1
    }
done

# environment PROGRAM PAGE: the variables that its --help has.
environment() {
    local variables
    mapfile -t variables < <("$1" --help | grep -o '\$MP_[A-Z_]*' | tr -d '$')
    [ ${#variables[@]} -gt 8 ] || failed=1
    mentions "$2" "${variables[@]}"
}
environment "$MP_BUILD/broker/mp-broker" mp-broker.8
environment "$MP_BUILD/worker/mp-worker" mp-worker.8
mapfile -t options < <("$MP_BUILD/broker/mp-broker" --help | sed -nE 's/^  (--[a-z-]+).*/\1/p')
mentions mp-broker.8 "${options[@]}"
[ ${#options[@]} -gt 8 ] || failed=1
mapfile -t options < <("$MP_BUILD/worker/mp-worker" --help | sed -nE 's/^  (--[a-z-]+).*/\1/p')
mentions mp-worker.8 "${options[@]}"
[ ${#options[@]} -gt 8 ] || failed=1
for command in dead drain job keygen launch lock map ping queue shm stat why; do
    mapfile -t options < <("$MP_BUILD/cli/mp" $command --help |
        sed -nE 's/^ +(-[a-z], )? *(--[a-z-]+).*/\2/p')
    mentions mp-$command.1 "${options[@]}"
    [ ${#options[@]} -gt 1 ] || failed=1
done
while read -r name; do
    grep -qlE "^\.(Nm|Fn|Fo) $name\b" docs/man/*.3 || {
        echo "no page of section 3 has $name"
        failed=1
    }
done < <(grep -hA2 '^MP_API' libmp/include/mp/*.h | grep -o '\bmp_[a-z_]*(' | tr -d '(')
exit $failed
