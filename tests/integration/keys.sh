#!/usr/bin/env bash
# A broker with keys: who gets in, what each may do, and what others are told. All of it over tcp.
. "$(dirname "$0")/lib.sh"
unset MP_KEY_FILE
umask 022

# as NAME COMMAND...: with that key.
as() {
    local name=$1
    shift
    MP_KEY_FILE=$name.key "$@"
}
count() { grep -c "$@" || true; }
reload() {
    local before
    before=$(count -e event=keys_ broker.err <broker.err)
    kill -HUP "$broker"
    wait_for eval "[ \$(grep -c event=keys_ broker.err) -gt $before ]"
}

# -- making keys
ok "$MP" keygen keys
[ "$(stat -c %a keys keys/server.key keys/server.pub keys/clients | tr '\n' ' ')" = "700 600 644 644 " ] ||
    fail "modes: $(ls -la keys)"
cp keys/server.key before
status 1 "$MP" keygen keys
says err 'force'
same before keys/server.key
says err 'all clients'
ok "$MP" keygen --name ann keys
ok "$MP" keygen --name wen --role work keys
ok "$MP" keygen --name sub --role submit keys
ok "$MP" keygen --name eye --role read keys
ok "$MP" keygen --name adi --role admin keys
ok "$MP" keygen --name nil --role - keys
same before keys/server.key
cp keys/*.key .
status 1 "$MP" keygen --name ann keys
same keys/ann.key ann.key
status 2 "$MP" keygen --name 'a b' keys
status 2 "$MP" keygen --name server keys
status 2 "$MP" keygen --name x --role root keys
ok "$MP" keygen --name lea --role submit keys
ok "$MP" keygen --server keys/server.pub --name lea lea2.key
ok "$MP" keygen --allow lea2.pub --role submit keys
status 0 "$MP" keygen --name lea --role submit,read --force keys
says out 'in place of 2 keys of that name'
[ "$(count '^lea ' keys/clients)" = 1 ] || fail "an old key of lea's is still listed"
says keys/clients '^lea .* submit,read$'
[ ! -e keys/x.key ] || fail "a key without a line in the list"
status 2 "$MP" keygen
status 2 "$MP" keygen --server keys/server.pub --allow ann.pub keys
status 1 "$MP" keygen --server nowhere.pub --name eve eve.key
ok "$MP" keygen --server keys/server.pub --name eve eve.key
ok "$MP" keygen other
ok "$MP" keygen --server other/server.pub --name cay cay.key
ok "$MP" keygen --allow cay.pub --role submit keys
status 1 "$MP" keygen --allow cay.pub --role work keys
says err 'listed already'
! grep -q secret-key -- *.pub keys/*.pub keys/clients || fail "a secret in a public file"

# -- a broker that can't be trusted with its keys doesn't start
chmod 640 keys/server.key
status 78 "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --keys keys
says err 'chmod 600 keys/server.key'
chmod 600 keys/server.key
chmod 666 keys/clients
status 78 "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --keys keys
says err 'chmod 644 keys/clients'
chmod 644 keys/clients
status 78 "$MP_BROKER_BIN" --listen 'tcp://127.0.0.1:*' --keys nowhere
says err 'mp keygen nowhere'
status 78 "$MP_BROKER_BIN" --listen 'tcp://*:*'
says err 'keys'
cp keys/clients clients.good
echo "zed nokey submit" >>keys/clients
status 78 "$MP_BROKER_BIN" --check-config --keys keys
says err 'clients, line'
cp clients.good keys/clients
status 71 "$MP_BROKER_BIN" --listen tcp://localhost.example:0 --keys keys
says err 'tcp://localhost.example:0: this host has no such address or interface'
ok "$MP_BROKER_BIN" --check-config --listen 'tcp://*:*' --keys keys >out

mkdir run
start_broker --keys keys --listen "ipc://$PWD/run/broker" --max-operations 2000
ipc=$(sed -n 's/^ready \(ipc.*\)/\1/p' broker.out)
url=$(sed -n 's/^ready \(tcp.*\)/\1/p' broker.out)
[ "$(stat -c %a run/broker)" = 600 ] || fail "the ipc socket is not private"

# -- who gets in, and what the others are told, at once
ok as ann "$MP" ping --broker "$url"
ok "$MP" ping --broker "$url" --key-file ann.key
ok as adi "$MP" ping --broker "$url"
status 2 "$MP" ping --broker "$url" --key-file keys/ann.pub
says err 'keys/ann.pub: .*the part that is given to others'
begin=$SECONDS
status 1 as eve "$MP" ping --broker "$url" --timeout-ms 20000
says err "doesn't know the key of 'eve'"
status 1 "$MP" ping --broker "$url" --timeout-ms 20000
says err 'MP_KEY_FILE'
status 1 as wen "$MP" ping --broker "$url" --timeout-ms 20000
says err "the key 'wen' lacks the role submit"
status 1 as nil "$MP" ping --broker "$url" --timeout-ms 20000
says err "the key 'nil' lacks the role submit"
# Who has no key may find the connection closed before it was told why, and tries again; but no ping
# ends by its time.
[ $((SECONDS - begin)) -lt $((slower * 60)) ] || fail "refusals take $((SECONDS - begin)) s"
status 1 as cay "$MP" ping --broker "$url" --timeout-ms $((slower * 1000))
says err 'is the server-key in cay.key that of this broker'
chmod 644 eve.key
status 1 as eve "$MP" ping --broker "$url"
says err 'chmod 600 eve.key'
chmod 600 eve.key
status 1 env MP_KEY_FILE=nowhere "$MP" ping --broker "$url"
says err 'nowhere: there is no such file'
# The kernel knows who comes by ipc; where it goes over ZeroMQ it takes a key.
ok "$MP" ping --broker "$ipc"
status 1 env MP_LANE=off "$MP" ping --broker "$ipc"
says err 'MP_KEY_FILE'
ok as ann env MP_LANE=off "$MP" ping --broker "$ipc"

# -- calls
status 69 as ann "$MP_WORKER_BIN" --broker "$url" --load "$MP_FILESUM" --procs 1
says err "the key 'ann' lacks the role work"
status 69 as eve "$MP_WORKER_BIN" --broker "$url" --load "$MP_FILESUM" --procs 1
says err "doesn't know the key"
! grep -q 'goes on trying' err || fail "it doesn't go on trying: $(cat err)"
start_worker one --procs 1 --load "$MP_FILESUM" --key-file wen.key
says broker.err 'worker_joined worker=wen@'
printf '%s\n' /usr/include/linux/i*.h >lines
ok as sub "$MP" map --broker "$url" --task filesum <lines >sums
ok "$MP" map --broker local --load "$MP_FILESUM" --task filesum <lines >wanted
same sums wanted
says broker.err 'client_joined client=sub@'
status 3 as adi "$MP" map --broker "$url" --task filesum <lines
says err "the key 'adi' lacks the role submit"
status 3 as eve "$MP" map --broker "$url" --task filesum <lines
says err "doesn't know the key"

# -- every command that asks a broker takes a key, by option as by environment
for ask in ping stat why lock 'job list' 'dead list'; do
    key=ann
    # shellcheck disable=SC2086
    ok "$MP" $ask --broker "$url" --key-file $key.key
    # shellcheck disable=SC2086
    ok env MP_KEY_FILE=eve.key "$MP" $ask -b "$url" -K $key.key
    got=0
    # shellcheck disable=SC2086
    "$MP" $ask --broker "$url" --key-file eve.key --timeout-ms 20000 >out 2>err || got=$?
    case "$ask $got" in
    'job list 3' | 'dead list 3' | 'ping 1' | 'stat 1' | 'why 1' | 'lock 1') ;;
    *) fail "mp $ask with a key that nobody knows: $got, $(cat err)" ;;
    esac
    says err "^mp ${ask%% *}: .*$url: .*doesn't know the key of 'eve' in eve.key; .*mp keygen --allow"
    [ "$(wc -l <err)" = 1 ] || fail "more than a line: $(cat err)"
done
status 1 "$MP" drain nobody --broker "$url" --key-file adi.key
says err 'nobody'
status 1 "$MP" drain nobody --broker "$url" --key-file ann.key
says err "^mp drain: .*lacks the role admin"

# -- whose jobs are seen by whom; all are counted
mkfifo input
background open env MP_KEY_FILE=sub.key bash -c "exec '$MP' map --broker '$url' --task filesum <input"
exec 8>input
head -n 1 lines >&8
sees() { as "$1" "$MP" stat --broker "$url" --json >json && python3 - "$2" <<'PY'
import json, sys
stat = json.load(open("json"))
clients = {one["name"].split("@")[0] for one in stat["clients"]}
jobs, counted, workers = len(stat["jobs"]), stat["broker"]["jobs"], len(stat["workers"])
assert eval(sys.argv[1]), (clients, jobs, counted, workers)
PY
}
wait_for sees adi 'clients == {"adi", "sub"} and jobs == counted == workers == 1'
job=$(python3 -c 'import json; job = json.load(open("json"))["jobs"][0]; print(job["client"], job["id"], sep="/")')
status 0 as adi "$MP" why --broker "$url" "$job"
status 1 as ann "$MP" why --broker "$url" "$job"
ok sees sub 'clients == {"sub"} and jobs == counted == 1'
ok sees ann 'clients == {"ann"} and jobs == 0 and counted == workers == 1'
exec 8>&-
exits "$pid" 0

# -- objects
ok as ann "$MP_KEYS_VISIT" "$url" write
ok as eye "$MP_KEYS_VISIT" "$url" read
status 1 as eye "$MP_KEYS_VISIT" "$url" write
says err "MP_EPERM.*the key 'eye' may only look at objects: it lacks the role write"
status 1 as sub "$MP_KEYS_VISIT" "$url" read
says err "MP_EPERM.*the key 'sub' lacks the role read"
status 1 as eve "$MP_KEYS_VISIT" "$url" read
says err "MP_EAUTH.*doesn't know the key"
status 1 "$MP_KEYS_VISIT" "$url" read
says err 'MP_EAUTH.*it wants a key'
ok "$MP_KEYS_VISIT" "$url" read ann.key
ok as ann "$MP_KEYS_VISIT" "$url" fork
status 1 as ann "$MP_KEYS_VISIT" "$url" flood
says err "more than 2000 operations in a second"

# -- the list changes
ok as eye "$MP" lock --broker "$url"
background stays env MP_KEY_FILE=ann.key "$MP_KEYS_VISIT" "$url" stay
stays=$pid
background watch env MP_KEY_FILE=ann.key "$MP_KEYS_VISIT" "$url" watch
watch=$pid
wait_for grep -q staying stays.out
wait_for grep -q staying watch.out
ok "$MP" keygen --allow eve.pub --role submit,read keys
status 1 as eve "$MP" ping --broker "$url"
reload
ok as eve "$MP" ping --broker "$url"
echo "broken" >>keys/clients
reload
says broker.err 'event=keys_kept.*line'
ok as eve "$MP" ping --broker "$url"
alive "$stays" || fail "a broken list cut somebody off"
sed -i '/^broken/d; s/write$/read/; /^eve/d' keys/clients
reload
status 1 as eve "$MP" ping --broker "$url"
says err "doesn't know the key"
exits "$stays" 1 # it writes until it may not any more
says stays.err "MP_EPERM.*lacks the role write"
alive "$watch" || fail "a change of roles cut somebody off who may stay"
sed -i '/^ann/d; /^wen/d' keys/clients
reload
exits "$watch" 1
says watch.err 'MP_EPERM.*list any more\|MP_EAUTH'
says broker.err "peer_dismissed.*wen.*the key 'wen' isn't in the broker's list any more"
wait_for grep -q "lost the broker: .*the key 'wen' isn't in the broker's list any more" one.err
refused=$(count key_refused broker.err)
tries_again() { [ "$(count key_refused broker.err)" -gt "$refused" ]; }
wait_for tries_again
alive "$worker" || fail "a worker ended for a slip in the list: $(cat one.err)"
cp clients.good keys/clients
reload
ok as ann "$MP" ping --broker "$url"
connections() { [ "$(count 'worker_joined worker=wen@' broker.err)" = "$1" ]; }
wait_for connections 2
sed -i '/^wen/s/work$/read/' keys/clients
reload
wait_for grep -q "the key 'wen' lacks the role work" one.err
cp clients.good keys/clients
reload
wait_for connections 3
ok as sub "$MP" map --broker "$url" --task filesum <lines >sums
same sums wanted

# A certificate is exchanged for another one while its worker runs; a name may have two keys.
kill "$worker"
exits "$worker" 0
ok "$MP" keygen --force --server keys/server.pub --name wen wen.key
ok "$MP" keygen --allow wen.pub --role work keys
[ "$(count -e '^wen ' keys/clients <keys/clients)" = 2 ] || fail "two keys of one name"
reload
start_worker two --procs 1 --load "$MP_FILESUM" --key-file wen.key
ok as sub "$MP" map --broker "$url" --task filesum <lines >sums
same sums wanted

# -- secrets are in no command line, no environment, no log
for secret in $(sed -n 's/.*secret-key = "\(.*\)"/\1/p' keys/*.key ./*.key); do
    ! grep -qF -e "$secret" -- *.out *.err "/proc/$broker/cmdline" "/proc/$worker/environ" \
        "/proc/$worker/cmdline" || fail "a secret lies about"
done
kill "$worker"
kill "$broker"
exits "$broker" 0
