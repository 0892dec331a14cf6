"""A Slurm cluster of a test's own: controller, nodes and munge as processes on loopback.

All that they keep lies below one folder, and they end with the tests, however these end. Two
nodes of two processors each; a third sees none of the folders that the others share.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psutil

from maquette.config.settings import Settings
from waiting import wait_for

CONFIGURATION = "SLURM_CONF"
NODES, BLIND = ("node1", "node2"), "blind"
_LIMIT_S = 60.0
_SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
ReturnToService=2
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
"""


def missing_slurm() -> str:
    """Why no cluster can be started here."""
    if os.geteuid() != 0:
        return "a Slurm cluster of its own needs root: `sudo -E make test-cluster`"
    for program, package in (("slurmctld", "slurm-wlm"), ("munged", "munge")):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            return f"there is no {program}: `apt-get install {package}`"
    return ""


class SlurmCluster:
    """A running cluster; `configuration` is what Slurm's commands find it by.

    Attributes:
        hidden: A folder that the node BLIND sees empty.
    """

    def __init__(self, folder: Path, hidden: Path) -> None:
        self._folder = folder
        self.hidden = hidden
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.configuration = folder / "slurm.conf"

    def start(self) -> None:
        """Start everything and wait until the nodes are idle."""
        self._configure()
        key = self._folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log",
                  "seed-file": "seed"}  # fmt: skip
        words = [f"--{word}={self._folder}/munge.{name}" for word, name in places.items()]
        self._run("munged", "munged", "--foreground", "--force", *words)
        wait_for((self._folder / "munge.socket").exists, _LIMIT_S, "munge")
        self._run("controller", "slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        blindly = f'mount -t tmpfs none "{self.hidden}" && exec slurmd -D -N {BLIND}'
        self._run(BLIND, "unshare", "--mount", "sh", "-c", blindly)
        for node in (*NODES, BLIND):
            wait_for(lambda node=node: self.state(node) == "idle", _LIMIT_S, f"node {node}")

    def settings(self, folder: Path, **more: object) -> Settings:
        """What jobs there need to know."""
        return Settings(backend="slurm", base_dir=folder, **more)

    def start_node(self, node: str) -> None:
        """Start a node."""
        self._run(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """End a node and all that runs on it, as when its power fails, and tell the controller."""
        everything = self._steps_of(node)
        daemon = self._processes.pop(node)
        daemon.kill()
        daemon.wait()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed")

    def revive_node(self, node: str) -> None:
        """Start a node that was killed, and wait until it is idle."""
        self.start_node(node)
        self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        wait_for(lambda: self.state(node) == "idle", _LIMIT_S, f"node {node}")

    def state(self, node: str) -> str:
        """Slurm's word for a node's state."""
        return self.ask("sinfo", "--noheader", f"--nodes={node}", "--format=%t")

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints; empty when it fails."""
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def cancel_all(self) -> None:
        """End every job and wait until no node works any more."""
        self.ask("scancel", "--full", "--signal=KILL", "--state=RUNNING", "--user=root")
        self.ask("scancel", "--user=root")
        wait_for(lambda: not self.ask("squeue", "--noheader"), _LIMIT_S, "an empty queue")

    def stop(self) -> None:
        """End all processes and remove what they kept."""
        order = (*NODES, BLIND, "controller", "munged")
        for name in (name for name in order if name in self._processes):
            for process in self._steps_of(name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _steps_of(self, node: str) -> list[psutil.Process]:
        """All that runs in jobs on a node, and the processes of Slurm that watch it."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                known = process.environ()
                ours = known.get(CONFIGURATION) == str(self.configuration)
                if ours and known.get("SLURMD_NODENAME") == node:
                    parent = process.parent()
                    watching = [parent] if parent and parent.name() == "slurmstepd" else []
                    found |= {each.pid: each for each in (process, *watching)}
        return list(found.values())

    def _configure(self) -> None:
        ports = _free_ports(2 + len(NODES))
        lines = _SETTINGS.format(
            host=socket.gethostname().partition(".")[0], folder=self._folder, controller=ports[0]
        )
        host = socket.gethostname().partition(".")[0]
        for node, port in zip((*NODES, BLIND), ports[1:], strict=True):
            lines += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2\n"
        lines += f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=UNLIMITED\n"
        lines += f"PartitionName={BLIND} Nodes={BLIND} MaxTime=UNLIMITED\n"
        lines += "PartitionName=short Nodes=ALL MaxTime=10\n"
        self.configuration.write_text(lines)
        for name in ("state", *(f"spool-{node}" for node in (*NODES, BLIND))):
            (self._folder / name).mkdir()

    def _run(self, name: str, *command: str) -> None:
        with open(self._folder / f"{name}.out", "ab") as log:
            self._processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        return {**os.environ, CONFIGURATION: str(self.configuration), "PATH": path}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def slurm_cluster(hidden: Path) -> Iterator[SlurmCluster]:
    """A running cluster; munge wants a folder above which only root may write, so not below tmp."""
    cluster = SlurmCluster(Path(mkdtemp(prefix="slurm-", dir="/tmp")), hidden)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
