#!/usr/bin/env bash
# A broker with keys: whose kept jobs and dead letters are whose. All of it over tcp, but for the end.
. "$(dirname "$0")/lib.sh"
unset MP_KEY_FILE

# as NAME COMMAND...: with that key.
as() {
    local name=$1
    shift
    MP_KEY_FILE=$name.key "$@"
}

ok "$MP" keygen keys
for name in ann bob; do ok "$MP" keygen --name $name --role submit keys; done
ok "$MP" keygen --name wen --role work keys
ok "$MP" keygen --name adi --role admin keys
ok "$MP" keygen --name root --role submit,admin keys
cp keys/*.key .

mkdir run
start_broker --keys keys --data data --listen "ipc://$PWD/run/broker"
ipc=$(sed -n 's/^ready \(ipc.*\)/\1/p' broker.out)
url=$(sed -n 's/^ready \(tcp.*\)/\1/p' broker.out)
export MP_BROKER=$url
start_worker one --procs 2 --allow-exec --key-file wen.key
seq 5 >five

# -- ids and keys of two owners don't meet
for name in ann bob; do
    sed "s/^/$name /" five >"$name.wanted"
    status 0 as $name "$MP" map --detach --id night --key 'run 7' -- echo $name <five
    status 0 as $name "$MP" map --detach --id day -- echo $name <five
done
for name in ann bob; do
    status 0 as $name "$MP" map --key 'run 7' -- echo $name <five
    same out $name.wanted
    status 0 as $name "$MP" job list --json
    [ "$(grep -c "\"owner\":\"$name\"" out)" = 2 ] && [ "$(wc -l <out)" = 2 ] || fail "$(cat out)"
done

# -- what is another's isn't there, whatever is asked
status 0 as ann "$MP" map --detach --id secret -- echo <five
status 0 as bob "$MP" job list
! grep -q secret out || fail "bob sees ann's job"
for address in secret ann/secret; do
    for what in wait fetch cancel drop; do
        status 1 as bob "$MP" job $what $address
        says err 'no job secret is kept here (any more)'
        sed 's/secret/unheard-of/' err >told
        status 1 as bob "$MP" job $what "${address%secret}unheard-of"
        same err told
    done
done
status 0 as ann "$MP" job wait ann/secret
says out '^secret .*over, 5 of 5 ended, 0 failed, 0 taken, made by ann$'

# -- but for an admin
status 0 as adi "$MP" job list
[ "$(wc -l <out)" = 5 ] || fail "an admin sees $(cat out)"
says out '^day .*made by ann'
says out '^day .*made by bob'
status 0 as adi "$MP" job wait secret
got=0
as adi "$MP" job wait day 2>err || got=$?
[ $got -ne 0 ] || fail "which of the two was it?"
says err 'say which, ann/day or bob/day'
status 0 as adi "$MP" job drop bob/day
status 1 as bob "$MP" job wait day
status 0 as ann "$MP" job fetch day
same out ann.wanted
status 3 as adi "$MP" map --detach --id mine -- echo <five
says err "the key 'adi' lacks the role submit"
status 3 as wen "$MP" job list

# -- an admin is one until the list says otherwise
status 0 as ann "$MP" map --detach --id late --delay-ms 86400000 -- echo <five
for who in 'ann late' 'ann ann/late' 'adi ann/late' 'adi late/0'; do
    read -r name what <<<"$who"
    status 0 as "$name" "$MP" why "$what"
    says out '^late.* mp.exec of ann: delayed$'
done
status 0 as ann "$MP" stat
says out ' late  *mp.exec '
status 1 as bob "$MP" why late
status 0 as bob "$MP" why
says out '^no calls wait$'
status 0 as bob "$MP" stat
says out ' 1 job$'
! grep -q late out || fail "bob sees ann's job"
background waits env MP_KEY_FILE=adi.key "$MP" job wait ann/late
waits=$pid
clients() { as ann "$MP" job list --json | grep '"id":"late"' | grep -q "\"clients\":$1,"; }
wait_for clients 1
sed -i.good '/^adi/s/ admin$/ submit/' keys/clients
kill -HUP "$broker"
exits "$waits" 1
says waits.err 'job late is not kept any more'
status 1 as adi "$MP" job wait late
wait_for clients 0
mv keys/clients.good keys/clients
kill -HUP "$broker"
wait_for eval '[ "$(grep -c event=keys_reloaded broker.err)" = 2 ]'
# A key with another name is another one, at once: its old name may be given to somebody else.
background waits env MP_KEY_FILE=ann.key "$MP" job wait late
waits=$pid
wait_for clients 1
sed -i.good 's/^ann /anna /' keys/clients
kill -HUP "$broker"
exits "$waits" 1
says waits.err 'job late is not kept any more'
mv keys/clients.good keys/clients
kill -HUP "$broker"
wait_for eval '[ "$(grep -c event=keys_reloaded broker.err)" = 4 ]'
status 0 as adi "$MP" job drop late

# -- dead letters
status 0 as ann "$MP" map --detach --id fails --shell -- 'test -e repaired && echo mended {}' <five
status 1 as ann "$MP" job wait fails
number=$(as ann "$MP" dead list --json | sed -nE 's/^\{"number":([0-9]+),.*"index":0,.*/\1/p')
status 0 as bob "$MP" dead list
[ ! -s out ] || fail "bob sees ann's dead letters: $(cat out)"
status 1 as bob "$MP" dead show "$number"
status 1 as bob "$MP" dead requeue "$number"
status 1 as bob "$MP" dead requeue --all
status 0 as bob "$MP" dead drop --all
says out '^0 dropped'
status 0 as bob "$MP" dead drop "$number"
says out '^0 dropped'
status 0 as adi "$MP" dead list
says out 'job fails of ann, call 4: MP_EFAILED'
status 3 as adi "$MP" dead requeue --all
says err "the key 'adi' lacks the role submit"

# -- owners survive the broker; so does a name whose key is exchanged
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
touch second.out
ok "$MP" keygen --force --server keys/server.pub --name ann ann.key
ok "$MP" keygen --allow ann.pub --role submit keys
background second "$MP_BROKER_BIN" --listen "$url" --listen "$ipc" --keys keys --data data
broker=$pid
wait_for grep -q '^ready ' second.out
status 1 as bob "$MP" job fetch secret
status 0 as ann "$MP" job fetch secret
same out five
status 0 as bob "$MP" map --key 'run 7' -- echo bob <five
same out bob.wanted
status 0 as bob "$MP" dead list
[ ! -s out ] || fail "bob sees ann's dead letters: $(cat out)"

# -- an admin's requeue is a job of who had the letters
touch repaired
status 0 as root "$MP" dead requeue --all
id=$(cat out)
status 1 as bob "$MP" job fetch "$id"
status 0 as ann "$MP" job fetch "$id"
sort out >sorted
sed 's/^/mended /' five >mended
same sorted mended

# -- the broker's own user, by a lane, is an admin, and has jobs of nobody's key
status 0 "$MP" map --broker "$ipc" --detach --id night -- echo <five
status 0 "$MP" job list --broker "$ipc"
[ "$(grep -c '^night ' out)" = 3 ] || fail "$(cat out)"
status 0 "$MP" job wait night --broker "$ipc"
! grep -q 'made by' out || fail "its own one comes first: $(cat out)"
status 0 "$MP" job wait ann/night --broker "$ipc"
says out 'made by ann'
status 1 as ann "$MP" job wait /night
status 0 as adi "$MP" job wait /night
