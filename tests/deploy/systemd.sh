#!/usr/bin/env bash
# The units of deploy/systemd under a real systemd, which is booted in a container: what
# systemd-analyze says of them, and that the services become active, work, are restarted when they
# are killed or stuck, and drain when they are stopped.
. "$MP_SOURCE/tests/deploy/lib.sh"
need_root
packages systemd systemd-container dbus
[ -d /sys/fs/cgroup/systemd ] || [ -e /sys/fs/cgroup/cgroup.procs ] || skip "no cgroups"
leader=
cgroup=mp-deploy-$$
groups=()
for controller in systemd unified ""; do
    [ -e "/sys/fs/cgroup/$controller/cgroup.procs" ] && groups+=("/sys/fs/cgroup/${controller:+$controller/}$cgroup")
done
cleanup() {
    local group
    [ -z "$leader" ] || kill -KILL "$leader" 2>/dev/null
    [ -z "${nspawn:-}" ] || timeout 10 tail --pid="$nspawn" -f /dev/null
    for group in "${groups[@]}"; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    return 0
}

# -- this machine's Debian with the project installed, as a layer over it; none of its services
mkdir layer
mount -t tmpfs tmpfs layer
mkdir layer/upper layer/work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layer/upper,workdir=$work/layer/work" root ||
    skip "no overlay file system over /"
find root/etc/systemd/system -mindepth 1 -delete
rm -rf root/etc/fstab root/var/log/journal root/usr/sbin/policy-rc.d
[ -s root/etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >root/etc/machine-id
DESTDIR=$work/root "${CMAKE:-cmake}" --install "$MP_BUILD" --prefix /usr/local >install.log
DESTDIR=$work/root "${CMAKE:-cmake}" --install "$MP_BUILD" --prefix /usr/local --component examples >>install.log
chroot root ldconfig
units=(/usr/local/lib/systemd/system/mp-{broker,worker}.service)

# -- what can be known of them without a start
chroot root systemd-analyze verify --man=no --recursive-errors=yes "${units[@]}" >verify 2>&1 </dev/null ||
    fail "systemd-analyze verify: $(cat verify)"
[ ! -s verify ] || fail "systemd-analyze verify: $(cat verify)"
for unit in "${units[@]}"; do
    chroot root systemd-analyze security --offline=true --threshold=25 --no-pager "$unit" >security 2>&1 </dev/null ||
        fail "$unit is more exposed than 2.5 of 10: $(tail -n 1 security)"
    checks=$((checks + 1))
done
# And that this would find something.
sed 's/^Restart=.*/Restart=perhaps/' "root${units[0]}" >root/tmp/mp-bad.service
status 1 chroot root systemd-analyze verify --man=no --recursive-errors=yes /tmp/mp-bad.service
rm root/tmp/mp-bad.service

# -- boot
mkdir -p root/etc/default root/etc/systemd/system/mp-broker.service.d
echo 'MP_LOAD=/usr/local/lib/mp-examples/filesum.so' >root/etc/default/mp-worker
echo 'MP_ALLOW_EXEC=yes' >>root/etc/default/mp-worker
mkdir root/usr/local/lib/mp-examples
cp "$(find root/usr/local/lib -path '*/mp/filesum.so')" root/usr/local/lib/mp-examples
# A test doesn't wait for ten seconds.
printf '[Service]\nWatchdogSec=2\n' >root/etc/systemd/system/mp-broker.service.d/soon.conf
# Keys, as docs/deploy.md has them: root's, and credentials of the services.
"$MP" keygen --name worker --role work root/etc/mp-keys >keygen.log
"$MP" keygen --name client --role submit root/etc/mp-keys >>keygen.log
cat >root/etc/systemd/system/mp-broker.service.d/keys.conf <<'END'
[Service]
LoadCredential=server.key:/etc/mp-keys/server.key
LoadCredential=clients:/etc/mp-keys/clients
Environment=MP_LISTEN=tcp://0.0.0.0:5555 MP_KEYS=%d
END
mkdir root/etc/systemd/system/mp-worker.service.d
cat >root/etc/systemd/system/mp-worker.service.d/keys.conf <<'END'
[Service]
LoadCredential=worker.key:/etc/mp-keys/worker.key
Environment=MP_KEY_FILE=%d/worker.key
END
cat >boot.sh <<'END'
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
for group; do
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
done
exec systemd-nspawn -q -b -D root --register=no --keep-unit --private-network --link-journal=no \
    --kill-signal=SIGRTMIN+3 --console=pipe
END
background nspawn unshare -m sh boot.sh "${groups[@]}"
nspawn=$pid
# Its first child is not yet the one that becomes the container's init.
find_leader() {
    leader=$(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null)
    leader=${leader%% *}
    [ -n "$leader" ]
}
inside() { nsenter -t "$leader" -a "$@" </dev/null; }
system_is_up() { find_leader && [[ $(inside systemctl is-system-running 2>/dev/null) =~ running|degraded ]]; }
booted() { gone "$nspawn" || system_is_up; }
patiently 100 booted
alive "$nspawn" || fail "systemd-nspawn: $(tail -n 3 nspawn.err nspawn.out)"
step "booted $(inside systemctl --version | head -n 1)"
property() { inside systemctl show -P "$2" "$1"; }
is() { [ "$(property "$1" "$2")" = "$3" ]; }

# -- active, and at work
inside systemctl start mp-broker || fail "$(inside journalctl -u mp-broker --no-pager)"
ok is mp-broker ActiveState active
inside systemctl start mp-worker || fail "$(inside journalctl -u mp-worker --no-pager)"
ok is mp-worker ActiveState active
says <(property mp-worker StatusText) '^serving with'
[ "$(inside stat -c %U /var/lib/private/mp-broker/data)" != root ] || fail "the broker is root"
map() { nsenter -t "$leader" -a env MP_KEY_FILE=/etc/mp-keys/client.key /usr/local/bin/mp map --broker tcp://127.0.0.1:5555 "$@"; }
sums() {
    find root/usr/local/bin root/usr/local/lib/systemd -type f | sed 's/^root//' | LC_ALL=C sort >files
    map --task filesum --retries 3 <files | cut -c 1-64 >ours
    sed 's/^/root/' files | xargs sha256sum | cut -c 1-64 >theirs
    same ours theirs
}
sums
step "active, and a map is right"

# -- killed, and stuck
restarted() { is "$1" NRestarts "$2" && is "$1" ActiveState active; }
for unit in mp-broker mp-worker; do
    inside systemctl kill -s KILL --kill-who=main $unit
    patiently 20 restarted $unit 1
done
sums
step "kill -9: both restarted"
inside systemctl kill -s STOP --kill-who=main mp-broker
patiently 30 restarted mp-broker 2
says <(inside journalctl -u mp-broker --no-pager) 'Watchdog timeout'
sums
step "stuck: the watchdog had it restarted"

# -- a stop drains
map --shell -- 'touch /tmp/running; sleep 2; echo {}' <<<finished >job.out &
job=$!
at_work() { inside sh -c 'ls /tmp/systemd-private-*mp-worker*/tmp/running' >/dev/null 2>&1; }
wait_for at_work
inside systemctl stop mp-worker
exits "$job" 0
says job.out '^finished$'
ok is mp-worker Result success
ok is mp-worker ExecMainStatus 0
inside systemctl stop mp-broker
ok is mp-broker Result success
ok is mp-broker ExecMainStatus 0
step "a stop drained"
kill -TERM "$nspawn"
patiently 30 gone "$nspawn"
leader=
