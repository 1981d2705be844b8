#!/usr/bin/env bash
# Install into a folder, move that folder, and use the library from there in each way that
# the README names.
set -euo pipefail

work=$(mktemp -d /tmp/mp-install-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
consumer=$MP_SOURCE/tests/install/consumer

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# works COMMAND...: the consumer, run without any help to find the library.
works() {
    [ "$("$@")" = "libmp $MP_VERSION works" ] || fail "$*"
}

DESTDIR=$work/stage "$CMAKE" --install "$MP_BUILD" --prefix /usr/local >install.log ||
    fail "$(cat install.log)"
[ ! -e stage/usr/local/usr ] || fail "something has an absolute path"
mv stage/usr/local "moved here"
prefix="$work/moved here"
lib=$(dirname "$(find "$prefix" -name libmp.a)")

# -- what is where
for header in "$MP_SOURCE"/libmp/include/mp/*.h version.h; do
    [ -f "$prefix/include/mp/$(basename "$header")" ] || fail "no header $header"
done
for page in "$MP_SOURCE"/docs/man/*.[1-8]; do
    [ -f "$prefix/share/man/man${page##*.}/$(basename "$page")" ] || fail "no man page $page"
done
mentioned=$(grep -rhoE '^\.Nm (mp_|MP_)[a-zA-Z_]+( ,)?$' "$MP_SOURCE"/docs/man/*.3 | cut -d ' ' -f 2 | sort -u)
[ "$(wc -w <<<"$mentioned")" -gt 200 ] || fail "only these have a page: $mentioned"
for name in $mentioned; do
    page=$prefix/share/man/man3/$name.3
    [ -f "$page" ] || fail "man $name finds nothing"
    [ "$(head -c 4 "$page")" != ".so " ] || grep -q "^\.Nm $name\b" "$prefix/share/man/$(cut -c 5- "$page")" ||
        fail "man $name finds another page: $(cat "$page")"
done
for program in mp mp-broker mp-worker; do
    "$prefix/bin/$program" --version | grep -q "^$program (libmp) $MP_VERSION\$" ||
        fail "$program --version"
done
if grep -rIl -e "$MP_SOURCE" -e "$MP_BUILD" "$prefix"; then
    fail "these files name the folder that they were built from"
fi

# -- the shared library
[ -L "$lib/libmp.so" ] || fail "libmp.so is no link"
readelf -d "$lib/libmp.so" | grep -q 'SONAME.*\[libmp\.so\.0\]' || fail "SONAME"
foreign=$(nm -D --defined-only "$lib/libmp.so" | awk '$3 !~ /^mp_[a-z]/')
[ -z "$foreign" ] || fail "exported, but not of the API: $foreign"
# Each function that a header promises is there.
grep -hA2 '^MP_API' "$prefix"/include/mp/*.h | grep -o '\bmp_[a-z_]*(' | tr -d '(' |
    sort -u >promised
nm -D --defined-only "$lib/libmp.so" | awk '{ print $3 }' | sort -u >exported
[ "$(wc -l <promised)" -gt 20 ] || fail "only $(wc -l <promised) functions found in the headers"
diff promised exported || fail "the headers and the library differ (< promised, > exported)"

# -- pkg-config, shared
export PKG_CONFIG_PATH="$lib/pkgconfig"
[ "$(pkg-config --modversion libmp)" = "$MP_VERSION" ] || fail "libmp.pc's version"
flags=(-std=c11 -Wall -Wextra -Werror -pedantic)
eval "\"$CC\" ${flags[*]} \"$consumer/main.c\" -o shared $(pkg-config --cflags --libs libmp)"
readelf -d shared | grep -q 'NEEDED.*libmp\.so\.0' || fail "shared isn't"
readelf -d shared | grep -q 'NEEDED.*libzmq' && fail "libzmq leaks into programs"
works env LD_LIBRARY_PATH="$lib" ./shared

# -- pkg-config, static
mkdir hidden
mv "$lib"/libmp.so* hidden
eval "\"$CC\" ${flags[*]} \"$consumer/main.c\" -o static \
    $(pkg-config --static --cflags --libs libmp)"
readelf -d static | grep -q 'NEEDED.*libmp' && fail "static isn't"
works ./static
mv hidden/* "$lib"

# -- find_package, both
"$CMAKE" -S "$consumer" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
    >cmake.log 2>&1 || fail "$(cat cmake.log)"
"$CMAKE" --build by-cmake >cmake.log 2>&1 || fail "$(cat cmake.log)"
works by-cmake/with_mp
works by-cmake/with_mp_static
readelf -d by-cmake/with_mp_static | grep -q 'NEEDED.*libmp' && fail "with_mp_static isn't"
sed 's/find_package(mp 0.1/find_package(mp 0.2/' "$consumer/CMakeLists.txt" >CMakeLists.txt
cp "$consumer/main.c" .
if "$CMAKE" -S . -B too-new -DCMAKE_PREFIX_PATH="$prefix" >cmake.log 2>&1; then
    fail "0.1 was taken for 0.2"
fi
echo "installed, moved, and used in four ways"
