#!/usr/bin/env bash
# No C file is over 800 lines, and no function over 60; a test may be a longer story.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need ctags

bad=$(
    files .c .h | xargs -0 awk 'FNR == 801 { print FILENAME ": over 800 lines" }'
    files .c .h | grep -zv '^\./tests/' |
        xargs -0 ctags -x --c-kinds=f --fields=+e --_xformat='%F %N %n %e' |
        awk '$4 - $3 + 1 > 60 { print $1 ":" $3 ": " $2 " has " $4 - $3 + 1 " lines" }'
)
[ -z "$bad" ] || {
    echo "$bad"
    exit 1
}
# ctags that prints no end would find nothing: the longest function must be a real one.
longest=$(files .c | xargs -0 ctags -x --c-kinds=f --fields=+e --_xformat='%n %e' |
    awk '$2 - $1 > longest { longest = $2 - $1 } END { print longest + 1 }')
[ "$longest" -gt 20 ]
