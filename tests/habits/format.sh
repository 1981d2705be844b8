#!/usr/bin/env bash
# All C is as clang-format would have it, but the README's program, which is laid out for a page.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need clang-format
files .c .h | grep -zv square.c | xargs -0 clang-format --dry-run -Werror
