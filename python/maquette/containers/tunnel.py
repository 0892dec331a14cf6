"""A daemon behind ssh: the person's own ssh program, with its keys, its config and its hosts.

A socket of this machine stands for the daemon's. Each connection to it becomes one `ssh HOST docker
system dial-stdio`, as docker's own client does, so timeouts hold and ssh's errors can be explained.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from maquette.errors import ConfigError, CredentialsError, JobFailed, MaquetteError, Unanswered

SCHEME = "ssh://"
# Nobody may be there to be asked, and each connection would ask again.
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=4")
_END_S = 5.0


class Tunnel:
    """Leads from a socket of this machine to the daemon of an address `ssh://[user@]host[:port]`.

    Raises:
        ConfigError: this is no such address.
        JobFailed: this machine has no ssh.
    """

    def __init__(self, address: str) -> None:
        self._argv = ssh_argv(address)
        if not shutil.which(self._argv[0]):
            raise JobFailed(
                f"this machine has no ssh to reach `{address}` with",
                hint="install it: `sudo apt-get install openssh-client`",
            )
        self._children: list[subprocess.Popen[bytes]] = []
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the tunnel
        self._folder = Path(tempfile.mkdtemp(prefix="maquette-"))
        self._is_open = True
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "daemon"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the daemon is reached on this machine."""
        return f"unix://{self._folder / 'daemon'}"

    def stderr(self) -> str:
        """What ssh, and docker at its other end, wrote to standard error so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()

    def close(self) -> None:
        """End every connection; leaves neither processes nor files."""
        self._is_open = False
        with socket.socket(socket.AF_UNIX) as wake:
            wake.connect(str(self._folder / "daemon"))
        self._thread.join()
        self._listener.close()
        for child in self._children:
            child.terminate()
        for child in self._children:
            _collect(child)
        self._stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not self._is_open:
                    return
                self._children.append(
                    subprocess.Popen(
                        self._argv,
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=self._stderr,
                        start_new_session=True,  # Ctrl-C is for this program to handle
                    )
                )


def ssh_argv(address: str) -> list[str]:
    """The command line that reaches a daemon.

    Raises:
        ConfigError: this is no such address.
    """
    authority, _, path = address.removeprefix(SCHEME).partition("/")
    user, _, place = authority.rpartition("@")
    try:
        port = urlsplit(f"//{place}").port
    except ValueError:
        port = -1
    host = place.removesuffix(f":{port}").strip("[]")
    if not host or port == -1 or ":" in user:
        shown = address.replace(user, "…") if ":" in user else address
        raise ConfigError(
            f"`{shown}` is no address of a daemon (DOCKER_HOST)",
            detail="a password in it is never used" if ":" in user else "",
            hint="ssh://user@host or ssh://user@host:port",
        )
    argv = ["ssh", "-T", *(word for option in _OPTIONS for word in ("-o", option))]
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    there = f"docker --host {shlex.quote(f'unix:///{path}')}" if path else "docker"
    return [*argv, "--", host, f"{there} system dial-stdio"]


def explain_ssh_error(stderr: str, address: str) -> MaquetteError | None:
    """Say what ssh's complaint means; None when it says nothing that is known."""
    authority = address.removeprefix(SCHEME).partition("/")[0]
    login, _, port = authority.partition(":")
    target = f"-p {port} {login}" if port else login
    found = stderr.lower()
    for signs, error, what, hint in _MEANINGS:
        if any(sign in found for sign in signs):
            what, hint = what.format(host=login), hint.format(target=target)
            return error(what, detail=stderr[-600:], hint=hint)
    return None


# What ssh writes → what it means and what to do; the first match counts.
_MEANINGS: tuple[tuple[tuple[str, ...], type[MaquetteError], str, str], ...] = (
    (
        ("host key verification failed",),
        CredentialsError,
        "ssh does not know the host key of `{host}`, or it has changed",
        "`ssh {target}` once, and compare the key before you accept it",
    ),
    (
        ("permission denied while trying to connect", "connect: permission denied"),
        CredentialsError,
        "the Docker daemon of `{host}` does not let this user in",
        "`ssh -t {target} sudo usermod -aG docker '$USER'`, then try again",
    ),
    (
        ("docker: command not found", "docker: not found", "docker: no such file"),
        JobFailed,
        "there is no Docker on `{host}`",
        "install it there: `ssh -t {target} sudo apt-get install docker.io`",
    ),
    (
        ("cannot connect to the docker daemon", "failed to connect to the docker", "dial unix"),
        Unanswered,
        "Docker is installed on `{host}`, but its daemon does not answer",
        "start it there: `ssh -t {target} sudo systemctl start docker`",
    ),
    (
        ("permission denied (", "too many authentication failures", "no supported authentication"),
        CredentialsError,
        "`{host}` does not let this person in: ssh has no key that it knows",
        "`ssh-copy-id {target}`; for a key with a passphrase `ssh-add` first",
    ),
    (
        ("ssh: ", "connection closed", "connection reset", "timed out", "kex_exchange"),
        Unanswered,
        "`{host}` can not be reached by ssh",
        "try `ssh {target}`: it must come in without a question",
    ),
)


def _collect(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_END_S)
        return
    child.kill()
    child.wait()
