#!/usr/bin/env bash
# mp map with local workers, as its user would run it.
. "$(dirname "$0")/lib.sh"

# -- usage
status 0 "$MP" --help
says out "ping"
status 0 "$MP" map --help
for option in jobs broker load task shell unordered keep-going halt-on-error timeout-ms retries \
    chunk json joblog resume progress no-progress; do
    says out "--$option"
done
status 0 "$MP" help map
status 0 "$MP" --version
says out '^mp (libmp) [0-9]'
status 2 "$MP"
status 2 "$MP" nonsense
says err nonsense
status 2 "$MP" map
says err 'what is to be run'
status 2 "$MP" map --nope -- true
says err '--nope'
status 2 "$MP" map -j 0 -- true
status 2 "$MP" map --task t -- true
status 2 "$MP" map --task t
says err '--load'
status 2 "$MP" map --resume -- true
status 2 "$MP" map --shell --load x.so --task t
status 2 "$MP" map --broker tcp://127.0.0.1:1 -j 2 -- true

# -- commands
seq 200 >numbers
ok "$MP" map -- echo <numbers >got
same got numbers
ok "$MP" map -j 3 -- echo '<{}>' '{}{}' <numbers >got
sed 's/.*/<&> &&/' numbers >wanted
same got wanted
printf 'a b\n$HOME; echo no\n\n\047"\\\n' >odd
ok "$MP" map -- printf '%s\n' <odd >got
same got odd
ok "$MP" map --shell -- printf '%s\\n' '{}' '| cat' <odd >got
same got odd
printf 'one\ntwo' | "$MP" map -- echo >got
printf 'one\ntwo\n' >wanted
same got wanted
ok "$MP" map -- echo </dev/null >got
[ ! -s got ] || fail "output for no input"
echo content >file
ok "$MP" map --shell -- 'cat; cat {}' <<<file >got # stdin of a command is empty
same got file

# -- whole outputs, never mixed
ok "$MP" map -j 4 --shell -- 'yes {} | head -n 3000; sleep 0.01; yes {} | head -n 2000' \
    < <(seq 24) >got
awk 'BEGIN { for (n = 1; n <= 24; n++) for (i = 0; i < 5000; i++) print n }' >wanted
same got wanted
ok "$MP" map -j 4 --unordered --shell -- 'yes {} | head -n 5000' < <(seq 24) >got
uniq -c got | awk '$1 != 5000 { exit 1 }' || fail "outputs were mixed"
sort -n got >sorted
same sorted wanted
ok "$MP" map -- head -c 3000000 <<<"$MP" >got
head -c 3000000 "$MP" >wanted
same got wanted
printf 'x' >binary
printf '\0\377\n\0' >>binary
ok "$MP" map -- cat <<<binary >got
same got binary

# -- real files
find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,1500p >files
ok "$MP" map -- sha256sum '{}' <files >got
xargs sha256sum <files >wanted
same got wanted
ok "$MP" map --load "$MP_FILESUM" --task filesum <files >got
cut -c 1-64 got >ours
cut -c 1-64 wanted >theirs
same ours theirs
status 1 "$MP" map --load "$MP_FILESUM" --task filesum < <(echo /nowhere; head -n 3 files)
says err 'line 1: "/nowhere": No such file or directory'
[ "$(wc -l <out)" = 3 ] || fail "the other lines did not run"

# -- failures
status 1 "$MP" map --shell -- 'n={}; echo $n; exit $((n % 3))' < <(seq 6)
says err 'line 1: "1": exit status 1'
says err 'line 5: "5": exit status 2'
says err '4 of 6 lines failed'
seq 6 >wanted
same out wanted
status 1 "$MP" map --shell -- ': {}; kill -SEGV $$' <<<1
says err 'killed by signal 11 (Segmentation fault)'
status 3 "$MP" map -- /nowhere/command <<<1
says err '/nowhere/command: No such file or directory'
status 1 "$MP" map -j 1 --chunk 1 --halt-on-error --shell -- 'echo {} >>ran; [ {} != 3 ]' < <(seq 50)
[ "$(wc -l <ran)" -lt 10 ] || fail "it did not halt"
status 1 "$MP" map --timeout-ms 150 -- sleep < <(printf '0\n20\n0\n')
says err 'line 2: "20": timed out after 150 ms'
status 0 "$MP" map --retries 2 --shell -- ': {}; echo >>tries; [ "$(wc -l <tries)" -ge 3 ]' <<<1
status 1 "$MP" map --retries 1 -- test -e <<<nowhere
says err 'attempt 2'
head -c 1100000 /dev/zero | tr '\0' x >long
printf '\nshort\n' >>long
status 1 "$MP" map --shell -- 'echo {} | wc -c' <long
says err 'longer than 1 MiB'
says out '^6$'
printf 'nul\0here\nfine\n' >nul
status 1 "$MP" map -- echo <nul
says err 'NUL byte'
says out '^fine$'
status 3 "$MP" map --load /nowhere.so --task t <<<x
says err '/nowhere.so'
status 3 "$MP" map --load "$MP_SOURCE/README.md" --task t <<<x
status 3 "$MP" map --load "$MP_FILESUM" --task nothere <<<x
says err "no task 'nothere'"

# -- JSON
status 1 "$MP" map --json --shell -- 'printf "%s\n" {}; exit {}' < <(printf '0\n7\n')
python3 - <<'PY' || fail "the JSON is not right: $(cat out)"
import json
rows = [json.loads(line) for line in open("out")]
assert [r["line"] for r in rows] == [1, 2], rows
assert rows[0]["status"] == "ok" and rows[0]["output"] == "0\n", rows
assert rows[1]["status"] == "failed" and rows[1]["exit"] == 7 and rows[1]["input"] == "7", rows
PY
status 0 "$MP" map --json -- cat <<<binary
python3 -c '
import base64, json
row = json.loads(open("out").read())
assert base64.b64decode(row["output_base64"]) == open("binary", "rb").read(), row' ||
    fail "bytes do not survive JSON"

# -- outputs that end
status 4 bash -c "seq 1000 | $MP map -- echo >/dev/full"
says err 'No space left'
set +o pipefail
seq 100000 | "$MP" map -- echo 2>quiet | head -n 1 >got
set -o pipefail
[ ! -s quiet ] || fail "it complained about a closed stdout: $(cat quiet)"

# -- job log
status 1 "$MP" map --joblog log --shell -- 'echo {} >>seen; [ {} != 4 ]' < <(seq 8)
[ "$(grep -c $'\tok\t' log)" = 7 ] || fail "the log: $(cat log)"
printf 'torn li' >>log
status 1 "$MP" map --joblog log --resume --shell -- 'echo {} >>seen; [ {} != 4 ]' < <(seq 9)
sort -n seen | uniq -c | awk '{ print $1 "x" $2 }' | tr '\n' ' ' >counts
[ "$(cat counts)" = "1x1 1x2 1x3 2x4 1x5 1x6 1x7 1x8 1x9 " ] || fail "resumed: $(cat counts)"
status 4 "$MP" map --joblog /dev/full -- echo < <(seq 3)
says err '/dev/full: No space left'
status 3 "$MP" map --joblog /nowhere/log -- echo <<<1

# -- progress: none when piped
status 0 "$MP" map -- echo < <(seq 3)
[ ! -s err ] || fail "progress without a terminal: $(cat err)"
status 0 "$MP" map --progress -- sleep < <(printf '0.2\n0.2\n')
says err '2/2\|1/2\|0/2'
seq 3 >numbers.3
status 0 script -qec "$MP map --shell -- 'sleep 0.3' <$work/numbers.3 >/dev/null" typed </dev/null
says typed '/3 '

# -- slow input does not hold results up
mkfifo slow
background live bash -c "exec $MP map -- echo <slow"
exec 7>slow
echo first >&7
wait_for grep -q first live.out
echo second >&7
wait_for grep -q second live.out
exec 7>&-
exits "$pid" 0

# -- signals
for row in INT:130 TERM:143; do
    background stopped bash -c "seq 100 | exec $MP map -j 2 --shell -- ': {}; exec sleep 30'"
    shell=$pid
    wait_for bash -c "ps -o comm= --ppid $shell | grep -qx mp"
    map=$(ps -o pid=,comm= --ppid "$shell" | awk '$2 == "mp" { print $1 }')
    wait_for bash -c "ps -eo args= | grep -q '^sleep 30\$'"
    executors=$(children mp-executor "$map")
    kill "-${row%:*}" "$map"
    exits "$shell" "${row#*:}"
    [ "$(wc -l <stopped.err)" = 1 ] || fail "not one line: $(cat stopped.err)"
    for executor in $executors; do wait_for gone "$executor"; done
done

# -- kill -9 of a worker in the middle: its line, and nothing else
seq 100 >lines
"$MP" map -j 2 --chunk 1 --shell -- 'sleep 0.1; echo {}' <lines >killed.out 2>killed.err &
map=$!
wait_for test -s killed.out
kill_at_work "$(first_child mp-executor $map)"
exits $map 1
says killed.err 'killed by signal 9 (Killed)'
[ "$(grep -c '^mp: line' killed.err)" = 1 ] || fail "more than one line: $(cat killed.err)"
[ "$(wc -l <killed.out)" = 99 ] || fail "$(wc -l <killed.out) lines"

# -- kill -9 of mp itself: no orphan, and the log resumes it
"$MP" map -j 2 --joblog log2 --shell -- 'sleep 0.02; echo {}' <lines >part1 2>/dev/null &
map=$!
wait_for test -s part1
executors=$(children mp-executor $map)
kill -9 $map
wait $map 2>/dev/null || true
for executor in $executors; do wait_for gone "$executor"; done
ok "$MP" map -j 2 --joblog log2 --resume --shell -- 'echo {}' <lines >part2
cat part1 part2 | sort -n | uniq >got
same got lines
