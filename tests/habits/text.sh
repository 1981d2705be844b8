#!/usr/bin/env bash
# What must not be written anywhere.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
failed=0

# never WHY PATTERN SUFFIX...: no line of these files matches.
never() {
    local why=$1 pattern=$2
    shift 2
    if files "$@" | grep -zv '^\./tests/habits/' | xargs -0 grep -nE "$pattern"; then
        echo "^ $why"
        failed=1
    fi
}

never "a header of a layer that isn't linked" '#include "\.\./' .c .h
never "do it now, or open an issue" '\b(TODO|FIXME|XXX)\b' .c .h .sh .txt .cmake .md .proto
never "trailing white space, or a tab" '[[:space:]]$|	' .c .h
exit $failed
