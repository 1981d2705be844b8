#!/usr/bin/env bash
# ShellCheck has nothing to say about our scripts.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need shellcheck
# Excluded: what a script takes from the lib.sh that it sources, and gives to it.
{
    files .sh
    printf '%s\0' .ci/run
} | xargs -0 shellcheck --severity=warning --exclude=SC2034,SC2154
