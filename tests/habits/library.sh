#!/usr/bin/env bash
# What a library must not do to its program: print, exit, take signals.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
failed=0
# daemon/ belongs to our executables, and serve/main.c is a program's main.
sources=$(find libmp/src -name '*.[ch]' ! -path '*/daemon/*' ! -path '*/serve/main.c')

# nowhere WHY PATTERN: outside comments.
nowhere() {
    # shellcheck disable=SC2086  # a list of words
    if grep -nE "$2" $sources | grep -vE ':[0-9]+: *(/?\*|//)'; then
        echo "^ $1"
        failed=1
    fi
}
nowhere "the library doesn't print" '\b(printf|puts|putchar|perror|fputs|fprintf)\('
nowhere "the library doesn't end its program" '[^_a-z](exit|abort)\('
nowhere "unbounded" '\b(strcat|sprintf|vsprintf|gets|alloca)\('
exit $failed
