#!/usr/bin/env bash
# mp launch slurm:N, by a real Slurm: munge, a controller and three nodes on this host's loopback.
. "$MP_SOURCE/tests/deploy/lib.sh"
need_root
packages slurmctld slurmd slurm-client munge

# -- a cluster of our own
host=$(hostname -s)
port=$((20000 + RANDOM % 8000))
mkdir state
chmod 755 .
dd if=/dev/urandom of=munge.key bs=128 count=1 status=none
mkdir munge
chown munge: munge munge.key
chmod 700 munge
chmod 400 munge.key
chmod 711 munge
cat >slurm.conf <<END
ClusterName=mp
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2
NodeName=n3 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=2
PartitionName=all Nodes=n1,n2,n3 Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$work/slurm.conf
background munged su -s /bin/sh munge -c "exec /usr/sbin/munged --foreground --key-file=$work/munge.key \
    --socket=$work/munge/socket --pid-file=$work/munge/pid --log-file=$work/munge/log --seed-file=$work/munge/seed"
wait_for test -S munge/socket
background controller /usr/sbin/slurmctld -D -f "$work/slurm.conf"
for n in 1 2 3; do
    mkdir spool-n$n
    background n$n /usr/sbin/slurmd -D -f "$work/slurm.conf" -N n$n
done
all_idle() { [ "$(sinfo -h -o '%D %t' 2>/dev/null)" = "3 idle" ]; }
patiently 60 all_idle
echo "Slurm $(srun --version | cut -d' ' -f2), three nodes"

start_broker
workers() { "$MP" ping --broker "$url" --json | grep -q "\"workers\":$1,"; }
no_worker_left() { workers 0 && [ -z "$(pgrep -f "[m]p-worker --broker $url" || true)" ]; }

# -- up on three nodes, and they work
background launch "$MP" launch --broker "$url" --worker "$MP_WORKER_BIN" --srun 'srun --nodes=3' 'slurm:3*2' -- \
    --load "$MP_FILESUM" --allow-exec
launch=$pid
patiently 60 grep -q '^all up: 3 workers' launch.out
[ "$(grep -c '^ready slurm:3\*2$' launch.out)" = 3 ] || fail "$(cat launch.out)"
says <("$MP" ping --broker "$url" --json) '"workers":3,"executors":6,'
says <(squeue -h -o '%j %D %T') '^mp-worker 3 RUNNING$'
find "$MP_SOURCE/cli" -type f | LC_ALL=C sort >files
"$MP" map --broker "$url" --task filesum <files | cut -c 1-64 >ours
xargs sha256sum <files | cut -c 1-64 >theirs
same ours theirs
"$MP" map --broker "$url" --shell -- 'sleep 0.3; echo $SLURMD_NODENAME #' < <(seq 12) | sort -u >nodes
says nodes n1
says nodes n2
says nodes n3

# -- TERM: what runs is finished, the job is over
"$MP" map --broker "$url" --shell -- "touch $work/running; sleep 1; echo {}" <<<finished >job.out &
job=$!
wait_for test -e running
kill -TERM "$launch"
exits "$job" 0
says job.out '^finished$'
exits "$launch" 0
wait_for no_worker_left
no_jobs() { [ -z "$(squeue -h -t RUNNING,PENDING 2>/dev/null)" ]; }
patiently 40 no_jobs

# -- killed: so are, after a drain, its workers
patiently 60 all_idle
background killed "$MP" launch --broker "$url" --worker "$MP_WORKER_BIN" slurm:2 -- --allow-exec
patiently 60 grep -q '^all up: 2 workers' killed.out
kill -KILL "$pid"
patiently 40 no_worker_left
patiently 40 no_jobs

# -- scancel, as an administrator ends jobs: it is told
patiently 60 all_idle
background cancelled "$MP" launch --broker "$url" --worker "$MP_WORKER_BIN" slurm:2 -- --allow-exec
cancelled=$pid
patiently 60 grep -q '^all up: 2 workers' cancelled.out
scancel -n mp-worker
exits "$cancelled" 1
says cancelled.err '^mp launch: slurm:2 \(ended with status\|was killed\)'
patiently 40 no_worker_left

# -- no such partition
patiently 60 all_idle
status 3 "$MP" launch --broker "$url" --srun 'srun -p nowhere' --worker "$MP_WORKER_BIN" slurm:1 -- --allow-exec
says err 'slurm:1 ended with status .*partition'
says err 'slurm:1: see sinfo and squeue, or give .* --srun'
# Those that wait for nodes are not up in time.
background hog srun -n6 -N3 sleep 60
hog=$pid
patiently 30 sh -c "squeue -h -t RUNNING | grep -q sleep"
status 3 "$MP" launch --broker "$url" --ready-ms 1500 --drain-ms 1000 --worker "$MP_WORKER_BIN" slurm:1 -- --allow-exec
says err 'slurm:1: 0 of 1 up after 1500 ms; .*see squeue'
scancel -n sleep
patiently 40 gone "$hog"
patiently 40 no_jobs
