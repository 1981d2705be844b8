#!/usr/bin/env bash
# Install what is needed, build with tests, and run them. Arguments go to ctest:
#     tests/run.sh -R map          only tests whose name matches
#     MP_PRESET=asan tests/run.sh  release (default), debug, asan, tsan
#     MP_TEST_JOBS=1 tests/run.sh  one test at a time; default: two more than processors, since
#                                  most of them wait most of the time
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
preset=${MP_PRESET:-release}
cd "$top"

deploy/install-packages.sh test
cmake --preset "$preset" -G Ninja
cmake --build --preset "$preset"

# gcc 12's ThreadSanitizer can't start threads after a fork from a threaded process; clang's
# can, when told not to give up at the fork. libzmq is not instrumented.
export TSAN_OPTIONS="die_after_fork=0:suppressions=$top/tests/tsan.supp:halt_on_error=1"
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="print_stacktrace=1"
export CK_FORK=yes
case $preset in
    asan | tsan) export CK_TIMEOUT_MULTIPLIER=5 ;; # what mp_patience does for ctest's limits
esac

exec ctest --test-dir "build/$preset" --parallel "${MP_TEST_JOBS:-$(($(nproc) + 2))}" --output-on-failure --no-tests=error "$@"
