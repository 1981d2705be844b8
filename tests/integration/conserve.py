#!/usr/bin/env python3
"""Producers and consumers of one queue are killed at random; between hosts (three network
namespaces) links are cut and healed as well. What was acknowledged arrives, in each producer's
order, and twice only if it says so. ROUNDS=N: longer; SEED=N: the same again."""
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PARTY = os.environ["MP_PARTY"]
ROUNDS = int(os.environ.get("ROUNDS", "25"))
SEED = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
PATIENCE = 60


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"FAIL: waited in vain until {what}")
        time.sleep(0.02)


class Hosts:
    """Three hosts on a bridge that has a namespace of its own, and no way out."""

    def __init__(self):
        self.name = f"mp{os.getpid()}"
        self.made = []
        self.ip("netns", "add", f"{self.name}-sw")
        self.made.append("sw")
        self.inside("sw", "link", "add", "br0", "type", "bridge")
        self.inside("sw", "link", "set", "br0", "up")
        for host in "123":
            self.ip("netns", "add", f"{self.name}-{host}")
            self.made.append(host)
            self.ip("link", "add", "eth0", "netns", f"{self.name}-{host}", "type", "veth",
                    "peer", "name", f"p{host}", "netns", f"{self.name}-sw")
            self.inside("sw", "link", "set", f"p{host}", "master", "br0", "up")
            self.inside(host, "link", "set", "lo", "up")
            self.inside(host, "addr", "add", f"10.77.0.{host}/24", "dev", "eth0")
            self.inside(host, "link", "set", "eth0", "up")

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def inside(self, host, *words):
        self.ip("-n", f"{self.name}-{host}", *words)

    def cut(self, host):
        self.inside(host, "link", "set", "eth0", "down")

    def heal(self, host):
        self.inside(host, "link", "set", "eth0", "up")

    def command(self, host):
        return ["nsenter", f"--net=/run/netns/{self.name}-{host}"]

    def remove(self):
        for host in self.made:
            self.ip("netns", "del", f"{self.name}-{host}")


class Party:
    """One process, whose output is in a file of its own: it is killed at any time."""
    count = 0

    def __init__(self, world, host, role, *words):
        Party.count += 1
        self.role = role
        self.number = Party.count
        self.log = f"{role}.{self.number}"
        if role == "produce":
            words += (str(self.number),)
        prefix = world.hosts.command(host) if world.hosts else []
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*prefix, PARTY, role, *words], stdout=out,
                                            stdin=subprocess.DEVNULL, env=world.env)
        world.parties.append(self)

    def lines(self):
        with open(self.log, encoding="ascii") as file:
            return [line.split() for line in file if line.endswith("\n")]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        """Whether it would end by SIGTERM in its own way."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            caught = next(line.split()[1] for line in file if line.startswith("SigCgt"))
        return int(caught, 16) >> signal.SIGTERM - 1 & 1

    def stop(self):
        wait_for(f"{self.log} has begun", self.is_ready)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        if status != 0:
            sys.exit(f"FAIL: {self.log} ended with {status}")


class World:
    def __init__(self, name, endpoint, hosts=None, **env):
        self.name = name
        self.hosts = hosts
        self.env = {**os.environ, **env}
        self.parties = []
        os.mkdir(name)
        os.chdir(name)
        self.owner = Party(self, "1", "own", endpoint)
        wait_for("the owner has an address", self.owner.lines)
        self.address = self.owner.lines()[0][0]
        self.alive = {"produce": [], "consume": []}
        for role in ("produce", "consume") * 2:
            self.start(role)

    def start(self, role):
        host = {"produce": "2", "consume": "3"}[role]
        self.alive[role].append(Party(self, host, role, self.address))

    def hurt(self):
        role = random.choice(["produce", "consume", "consume"])
        victim = self.alive[role].pop(random.randrange(2))
        victim.kill()
        self.start(role)

    def cut_and_heal(self):
        host = random.choice("23")
        self.hosts.cut(host)
        time.sleep(4)  # longer than six heartbeats: both sides give each other up
        self.hosts.heal(host)

    def of(self, role):
        return [party for party in self.parties if party.role == role]

    def got(self):
        return sum(len(party.lines()) for party in self.of("consume"))

    def run(self):
        for i in range(ROUNDS):
            time.sleep(random.random() / 2)
            self.hurt()
            if self.hosts and i % 10 == 5:
                self.cut_and_heal()
        for party in self.alive["produce"]:
            party.stop()
        before = -1
        while before != self.got():  # nobody puts any more
            before = self.got()
            time.sleep(1)
        for party in self.alive["consume"]:
            party.stop()
        self.owner.stop()
        left = self.owner.lines()[1]
        self.check()
        if left != "left 0 held 0 parked 0".split():
            sys.exit(f"FAIL: {self.name}: the owner says {' '.join(left)}")
        os.chdir("..")

    def check(self):
        acknowledged, repeated = set(), set()
        for party in self.of("produce"):
            for words in party.lines():
                if words[0] == "again":
                    repeated.add((party.number, int(words[1])))
            numbers = [int(words[1]) for words in party.lines() if words[0] == "acknowledged"]
            acknowledged.update((party.number, n) for n in range(max(numbers, default=-1) + 1))
        got, again, disorder = collections.Counter(), collections.Counter(), 0
        for party in self.of("consume"):
            last = {}
            for words in party.lines():
                item = int(words[1]), int(words[2])
                got[item] += 1
                if len(words) > 3:
                    again[item] += 1
                elif item not in repeated:
                    disorder += item[1] <= last.get(item[0], -1)
                    last[item[0]] = item[1]
        missing = sum(1 for item in acknowledged if not got[item])
        twice = sum(1 for item, n in got.items() if n - again[item] > 1 + (item in repeated))
        print(f"{self.name}: {len(self.parties)} processes, {len(acknowledged)} acknowledged, "
              f"{len(got)} got, {sum(again.values())} redelivered, {len(repeated)} put again, "
              f"{missing} missing, {twice} twice without a word, {disorder} out of order",
              flush=True)
        if missing or twice or disorder or not got or not acknowledged:
            sys.exit(f"FAIL: {self.name}, seed {SEED}")

    def end(self):
        for party in self.parties:
            if party.process.poll() is None:
                party.kill()


def campaign(*args, **env):
    world = World(*args, **env)
    try:
        world.run()
    finally:
        world.end()


def main():
    random.seed(SEED)
    print(f"seed {SEED}, {ROUNDS} rounds each")
    folder = tempfile.mkdtemp(prefix="mp-test-")
    hosts = None
    os.chdir(folder)
    try:
        campaign("lane", f"ipc://{folder}/lane.sock")
        campaign("ipc", f"ipc://{folder}/ipc.sock", MP_LANE="off")
        try:
            hosts = Hosts()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"SKIP: hosts in network namespaces need root and iproute2: {error}")
        endpoint = "tcp://10.77.0.1:0" if hosts else "tcp://127.0.0.1:0"
        campaign("tcp", endpoint, hosts, MP_PARTY_KEY="secret")
    finally:
        if hosts:
            hosts.remove()
        os.chdir("/")
        shutil.rmtree(folder)


main()
