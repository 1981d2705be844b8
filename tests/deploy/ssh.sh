#!/usr/bin/env bash
# mp launch ssh:HOST, by a real sshd on this host's loopback: workers come up, work, and end with
# their launcher, however it ends, and after the broker; what goes wrong names the host and a cure.
. "$MP_SOURCE/tests/deploy/lib.sh"
need_root
packages openssh-server openssh-client

# -- an sshd of our own, which knows one key
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -t ed25519 -N '' -f key
cp key.pub authorized
chmod 700 .
mkdir -p /run/sshd # of its privilege separation; Debian's own would use the same
port=
for try in $(seq 20); do
    port=$((20000 + RANDOM % 10000))
    cat >sshd_config <<END
Port $port
ListenAddress 127.0.0.1
HostKey $work/host_key
AuthorizedKeysFile $work/authorized
PidFile $work/sshd.pid
PasswordAuthentication no
UsePAM no
StrictModes no
END
    background sshd /usr/sbin/sshd -D -e -f "$work/sshd_config"
    sshd=$pid
    until grep -q 'Server listening' sshd.err || gone "$sshd"; do sleep 0.05; done
    if alive "$sshd"; then break; fi
done
alive "$sshd" || fail "sshd: $(cat sshd.err)"
ssh="ssh -F none -p $port -i $work/key -o UserKnownHostsFile=$work/known -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR"
launch() { "$MP" launch --broker "$url" --ssh "$ssh" --worker "$MP_WORKER_BIN" "$@"; }

start_broker
workers() { "$MP" ping --broker "$url" --json | grep -q "\"workers\":$1,"; }
no_worker_left() { workers 0 && [ -z "$(pgrep -f "[m]p-worker --broker $url" || true)" ]; }

# -- up, in two "hosts", and they work
background launch "$MP" launch --broker "$url" --ssh "$ssh" --worker "$MP_WORKER_BIN" \
    'ssh:127.0.0.1*2' 'ssh:root@localhost*1' -- --load "$MP_FILESUM" --allow-exec --name "it's a \"test\" \$(false); *"
launch=$pid
patiently 60 grep -q '^all up: 2 workers' launch.out
[ "$(grep -c '^ready ssh:' launch.out)" = 2 ] || fail "$(cat launch.out)"
ok grep -qx 'ready ssh:127.0.0.1\*2' launch.out
says <("$MP" ping --broker "$url" --json) '"workers":2,"executors":3,'
find "$MP_SOURCE/cli" -type f | LC_ALL=C sort >files
"$MP" map --broker "$url" --task filesum <files | cut -c 1-64 >ours
xargs sha256sum <files | cut -c 1-64 >theirs
same ours theirs
# What mp-worker was given went through two shells as it was.
ok grep -qxF "it's a \"test\" \$(false); *" <(tr '\0' '\n' <"/proc/$(pgrep -f "[m]p-worker --broker $url" | head -n 1)/cmdline")

# -- TERM: what runs is finished, and then nothing is left
"$MP" map --broker "$url" --shell -- 'touch '"$work"'/running; sleep 1; echo {}' <<<finished >job.out &
job=$!
wait_for test -e running
kill -TERM "$launch"
exits "$job" 0
says job.out '^finished$'
exits "$launch" 0
wait_for no_worker_left
says launch.err 'what=draining'

# -- killed: the pipes' end tells the workers
background killed "$MP" launch --broker "$url" --ssh "$ssh" --worker "$MP_WORKER_BIN" ssh:localhost -- --allow-exec
patiently 60 grep -q '^all up' killed.out
kill -KILL "$pid"
wait_for no_worker_left

# -- a second signal doesn't wait for a call
background hurry "$MP" launch --broker "$url" --ssh "$ssh" --worker "$MP_WORKER_BIN" 'ssh:localhost*1' -- --allow-exec
hurry=$pid
patiently 60 grep -q '^all up' hurry.out
rm -f running
"$MP" map --broker "$url" --shell -- 'touch '"$work"'/running; sleep 60; : {}' <<<x >job.out 2>job.err &
job=$!
wait_for test -e running
kill -INT "$hurry"
wait_for grep -q 'what=draining' hurry.err
kill -INT "$hurry" || fail "it has ended by itself: $(tail -n 5 hurry.err job.err)"
exits "$hurry" 0
exits "$job" 1

# -- what can't be, and what to do about it
status 3 launch ssh:localhost -- --load /no/such.so
says err 'ssh:localhost ended with status 69: .*/no/such.so'
status 3 "$MP" launch --broker "$url" --ssh "$ssh" --worker /no/such ssh:localhost
says err 'ssh:localhost: there is no /no/such in the PATH there; .*--worker'
status 3 "$MP" launch --broker "$url" --ssh "ssh -F none -p $port -i /dev/null -o UserKnownHostsFile=$work/known -o IdentityAgent=none" ssh:localhost
says err "ssh:localhost: can't log in there.*try: ssh"
status 3 "$MP" launch --broker tcp://127.0.0.1:1 ssh:localhost
says err 'tcp://127.0.0.1:1'
status 2 launch ssh:elsewhere.example
says err "ssh:elsewhere.example can't reach tcp://127.0.0.1.*--tunnel"
status 2 launch 'ssh:-oProxyCommand=true'
says err "can't begin with '-'"
# All or nothing: the good one is taken down with the bad one.
status 3 "$MP" launch --broker "$url" --ssh "$ssh" --worker "$MP_WORKER_BIN" ssh:localhost ssh:localhost -- --load /no/such.so
wait_for no_worker_left

# -- by a tunnel, which is all that a broker without keys allows other hosts; and its end
free=$((30000 + RANDOM % 10000))
background tunnel "$MP" launch --broker "$url" --tunnel $free --lost-ms 1500 --ssh "$ssh" --worker "$MP_WORKER_BIN" \
    'ssh:localhost*1' -- --load "$MP_FILESUM"
tunnel=$pid
patiently 60 grep -q '^all up: 1 worker' tunnel.out
says <(pgrep -fa '[m]p-worker --broker') "--broker tcp://127.0.0.1:$free "
"$MP" map --broker "$url" --task filesum <files | cut -c 1-64 >ours
same ours theirs
kill "$broker"
exits "$broker" 0
exits "$tunnel" 1
says tunnel.err "no answer from the broker at $url for 1500 ms: ending the workers"
