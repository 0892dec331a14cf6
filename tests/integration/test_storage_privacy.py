"""Our bytes go to the configured endpoint alone, and are nobody else's to read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from command_line import environment
from fault_proxy import proxy_to
from maquette.errors import CredentialsError
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore
from maquette.storage.wire import Wire
from s3_server import KEYS, place_in, pull, push, write_scene
from storage_scenes import files, large

SPY = """
import sys
record = open(sys.argv.pop(1), "w", buffering=1)
def spy(event, arguments):
    if event == "socket.getaddrinfo":
        record.write(f"{arguments[0]} {arguments[1]}\\n")
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        record.write("{} {}\\n".format(*arguments[1]))
sys.addaudithook(spy)
from maquette.cli.main import main
main()
"""
MET = {
    "interpreter": r"(?P<host>\S+) (?P<port>\d+)\n",
    "kernel": r'htons\((?P<port>\d+)\), sin_addr=inet_addr\("(?P<host>[^"]+)"\)',
}
# What sends other programs elsewhere: to another endpoint, a proxy, or a cloud machine's own one.
TEMPTING = {
    "AWS_ENDPOINT_URL": "http://127.0.0.2:9",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.2:9",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.4:9",
    "AWS_REGION": "eu-west-3",
    "HTTP_PROXY": "http://127.0.0.3:9",
    "http_proxy": "http://127.0.0.3:9",
    "ALL_PROXY": "http://127.0.0.3:9",
    "NO_PROXY": "127.0.0.1",  # a proxy that is meant is another matter, see test_storage_proxy.py
}
AWS_FILE = """[default]
endpoint_url = http://127.0.0.2:9
region = eu-west-3
services = elsewhere
preferred_transfer_client = {client}
s3 =
    preferred_transfer_client = {client}
    addressing_style = virtual
    use_accelerate_endpoint = true
[services elsewhere]
s3 =
    endpoint_url = http://127.0.0.2:9
"""
COMMANDS = (
    ["data", "push", "MODEL=thing"],
    ["data", "pull", "MODEL=thing"],
    ["datastore", "check", "NEURALANGELO"],
    ["data", "clear", "MODEL=thing", "YES=1"],
)


@cache
def strace() -> str:
    """Why the kernel's own record of connections can not be had; empty when it can."""
    try:
        tried = subprocess.run(["strace", "-f", "-qq", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return "no strace: `apt-get install strace`"
    return "" if tried.returncode == 0 else f"strace may not look: {tried.stderr.decode()[:80]}"


@pytest.mark.parametrize(
    ("recorder", "client"),
    [("interpreter", "auto"), pytest.param("kernel", "crt", marks=pytest.mark.soak)],
)
def test_no_byte_goes_anywhere_but_the_configured_endpoint(
    person: Path, server: Running, recorder: str, client: str
) -> None:
    """Every connection of each command is written down, the kernel's record tells all of them."""
    if recorder == "kernel" and (reason := strace()):
        pytest.skip(reason)
    scene = person / "scenes/thing"
    write_scene(scene, {**large(15), **files(15, 5, 100)})
    (person / "aws").write_text(AWS_FILE.format(client=client))
    variables = {**TEMPTING, "AWS_CONFIG_FILE": str(person / "aws")}
    configured = ("127.0.0.1", int(server.location.endpoint.rpartition(":")[2]))
    for words in COMMANDS:
        if "pull" in words:
            shutil.rmtree(scene)
        command = [*words, f"BUCKET_NAME=spied-{recorder}-{client}"]
        assert connections(person, recorder, command, variables) == {configured}, words


def connections(
    person: Path, recorder: str, words: list[str], variables: dict[str, str]
) -> set[tuple[str, int]]:
    """Run a command; returns host and port of everything that it spoke to or asked for."""
    record = person / "record"
    argv = [sys.executable, "-c", SPY, str(record), *words]
    if recorder == "kernel":
        traced = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-s", "0"]
        program = [sys.executable, "-m", "maquette.cli.main"]
        argv = [*traced, "-o", str(record), *program, *words]
    done = subprocess.run(
        argv, cwd=person, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = record.read_text()
    assert "AF_INET6" not in told
    return {(met["host"], int(met["port"])) for met in re.finditer(MET[recorder], told)}


@pytest.mark.behind_proxy
def test_no_request_asks_for_anything_public(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    """Also the ones that make the bucket, begin uploads in parts, and remove."""
    names: set[str] = set()

    def gate(headers: Mapping[str, str]) -> None:
        names.update(name.lower() for name in headers)

    write_scene(scene, {**files(18, 3, 10), **large(18)})
    with proxy_to(bucket.location.endpoint, gate=gate) as proxy:
        name = f"new-{bucket.prefix[-12:]}"
        near = place_in(proxy.endpoint, bucket.prefix, name)
        push(scene, near)
        (scene / "images/0001.jpg").unlink()
        push(scene, near, delete=True)
        pull(tmp_path / "other", near)
    assert f"PUT /{name}" in proxy.seen
    assert {"x-amz-meta-maquette-tag", "authorization"} <= names
    assert "expect" not in names  # a proxy that keeps the answer would cost a second each time
    assert not [name for name in names if name.startswith(("x-amz-acl", "x-amz-grant"))]
    assert not [line for line in proxy.seen if re.search(r"[?&](acl|policy|website|cors)\b", line)]


def test_objects_are_private(bucket: ObjectStore, scene: Path) -> None:
    """Neither another key nor one who shows none may read, list or look."""
    write_scene(scene, files(17, 1, 10))
    push(scene, bucket)
    stranger = Wire(bucket.location, type(KEYS)("somebody-else", "another-secret-of-theirs"))
    for key in (bucket.key("images/0000.jpg"), ""):
        with pytest.raises(CredentialsError):
            stranger.request("GET", bucket.name, key)
        url = f"{bucket.location.endpoint}/{bucket.name}/{key}"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=60)
        assert refused.value.code in (400, 401, 403)
