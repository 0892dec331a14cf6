"""The daemon of this machine as others have one: behind tcp, and behind an ssh server."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from maquette.containers.daemon import LOCAL
from relay import relay

DAEMON_SOCKET = LOCAL.removeprefix("unix://")


@contextmanager
def tcp_daemon(certificates: Path | None = None) -> Iterator[str]:
    """Relay a port to the daemon's socket; yields its address `tcp://…`.

    Args:
        certificates: Folder of `write_certificates`; only who has one of them is let in.
    """
    tls = _server_tls(certificates) if certificates else None
    with relay(_connected_to_daemon, tls) as port:
        yield f"tcp://127.0.0.1:{port}"


def _connected_to_daemon() -> socket.socket:
    daemon = socket.socket(socket.AF_UNIX)
    daemon.connect(DAEMON_SOCKET)
    return daemon


def write_certificates(folder: Path, *names: str) -> None:
    """Make an authority, and by it a server's and a person's certificate, named as docker does.

    Args:
        names: Of the server, beside the loopback address.
    """
    known = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in names)])
    folder.mkdir()
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem"]
    for name, key, more in (
        ("ca", "ca-key", []),
        ("server", "server-key", [*signed, "-addext", f"subjectAltName={known}"]),
        ("cert", "key", signed),
    ):
        words = ["openssl", "req", "-x509", *curve, "-subj", f"/CN={name}", *more]
        words += ["-keyout", f"{key}.pem", "-out", f"{name}.pem"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)


def _server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def missing_ssh() -> str:
    """Why no ssh server can run here; empty when one can."""
    for program, package in (("sshd", "openssh-server"), ("ssh-keygen", "openssh-client")):
        if not _program(program):
            return f"there is no {program}: `apt-get install {package}`"
    return "" if shutil.which("docker") else "there is no docker: `apt-get install docker.io`"


@dataclass(frozen=True)
class SshHost:
    """A host with an ssh server, and a person who may come in.

    Attributes:
        address: As DOCKER_HOST takes it.
        programs: A folder for the PATH, with the `ssh` that this person has configured.
    """

    address: str
    programs: Path

    def path(self) -> str:
        """The person's PATH."""
        return f"{self.programs}:{os.environ['PATH']}"


@contextmanager
def ssh_host(
    folder: Path, environment: str = "", *, has_key: bool = True, is_known: bool = True
) -> Iterator[SshHost]:
    """Run an ssh server with keys of its own, all below `folder`.

    Args:
        environment: NAME=value that every command there gets.
        has_key: Whether the person has the key that opens it.
        is_known: Whether the person knows the host's key.
    """
    folder.mkdir()
    for name in ("host", "person", "stranger"):
        subprocess.run(
            [_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
            check=True,
        )
    shutil.copy(folder / "person.pub", folder / "authorized_keys")
    _configure_server(folder, environment)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve_ssh, args=(listener, folder), daemon=True).start()
        port = listener.getsockname()[1]
        programs = _configured(folder, port, "person" if has_key else "stranger", is_known)
        yield SshHost(f"ssh://{getpass.getuser()}@127.0.0.1:{port}", programs)
        listener.shutdown(socket.SHUT_RDWR)


def _serve_ssh(listener: socket.socket, folder: Path) -> None:
    """Hand each connection to a server of its own, which ends with it."""
    servers = []
    with open(folder / "sshd.log", "ab") as log, suppress(OSError):
        while True:
            near, _ = listener.accept()
            with near:
                argv = [_program("sshd"), "-i", "-e", "-f", folder / "sshd_config"]
                servers.append(subprocess.Popen(argv, stdin=near, stdout=near, stderr=log))
    for server in servers:
        server.terminate()
        server.wait()


def _configure_server(folder: Path, environment: str) -> None:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks its children in
    lines = [
        f"HostKey {folder / 'host'}", "PidFile none",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}", "StrictModes no", "UsePAM no",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no",
    ]  # fmt: skip
    lines += [f"SetEnv {environment}"] if environment else []
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")


def _configured(folder: Path, port: int, key: str, is_known: bool) -> Path:
    """An `ssh` with a configuration of its own: the real one reads that of the account."""
    host_key = (folder / "host.pub").read_text().rsplit(" ", 1)[0]
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n" if is_known else "")
    config = folder / "config"
    config.write_text(
        f"IdentityFile {folder / key}\nIdentitiesOnly yes\nIdentityAgent none\n"
        f"UserKnownHostsFile {known}\nGlobalKnownHostsFile none\nStrictHostKeyChecking ask\n"
    )
    programs = folder / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {_program("ssh")} -F {config} "$@"\n')
    (programs / "ssh").chmod(0o755)
    return programs


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""
