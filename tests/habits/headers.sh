#!/usr/bin/env bash
# Each public header compiles on its own, as C11 and as C++17, with all warnings.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need gcc clang g++
includes=(-I libmp/include -I "$MP_BUILD/libmp/include")
for header in libmp/include/mp/*.h "$MP_BUILD"/libmp/include/mp/*.h; do
    for compiler in "gcc -std=c11 -xc" "clang -std=c11 -xc" "g++ -std=c++17 -xc++"; do
        # A typedef, because ISO C knows no empty file.
        # shellcheck disable=SC2086  # a list of words
        printf '#include <mp/%s>\ntypedef int unit_t;\n' "$(basename "$header")" |
            $compiler -Wall -Wextra -Werror -pedantic -fsyntax-only "${includes[@]}" - || {
            echo "$header with $compiler"
            exit 1
        }
    done
done
