"""Try an image out before a job depends on it: a sentence for each thing, in a real container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docker.errors import ContainerError, ImageNotFound
from docker.types import DeviceRequest

from maquette.containers.engines import Engine, connected
from maquette.errors import JobFailed, NotFound

USER = "42420:42420"
_LABELS = ("org.opencontainers.image.version", "org.opencontainers.image.revision")
_WRITES_HOME = 'test "$HOME" = /workspace && echo x > "$HOME/.written" && id -u'
_GPUS = "import json, torch; print(json.dumps([torch.cuda.get_device_name(i) for i in " \
    "range(torch.cuda.device_count())]))"  # fmt: skip


def check(reference: str, engine: Engine, gpus: int) -> Iterator[str]:
    """Check user, home, entry point, labels, the step's command, the agent and GPUs.

    Args:
        gpus: How many GPUs the image must see; 0 asks for none.

    Raises:
        NotFound: there is no such image.
        JobFailed: something is not as it must be.
    """
    with connected(engine) as client:
        try:
            image = client.images.get(reference)
        except ImageNotFound:
            raise NotFound(f"there is no image `{reference}`", hint="`make images`") from None
        yield from _check_configuration(reference, image.attrs["Config"])
        _expect(_run(client, reference, ["sh", "-c", _WRITES_HOME]) == "42420", reference,
                "uid 42420 can not write its HOME, /workspace")  # fmt: skip
        yield "home: /workspace, writable for uid 42420"
        _expect("pipeline" in _run(client, reference, ["maquette-step", "--help"]), reference,
                "maquette-step does not run")  # fmt: skip
        yield "maquette-step: runs"
        _run(client, reference, ["python", "-m", "maquette.agent", "--help"])
        yield "agent: runs"
        _run(client, reference, ["python", "-c", "import torch, pycolmap, warp, av, skimage"])
        yield "libraries: load"
        found = json.loads(_run(client, reference, ["python", "-c", _GPUS], gpus))
        _expect(len(found) >= gpus, reference, f"{gpus} GPU wanted, {len(found)} visible")
        yield f"GPUs: {', '.join(found) or 'none visible, none wanted'}"


def _check_configuration(reference: str, config: dict[str, Any]) -> Iterator[str]:
    _expect(config["User"] == USER, reference, f"it runs as `{config['User']}`, not as {USER}")
    yield f"user: {USER}"
    _expect(not config["Entrypoint"], reference, f"it has an entry point: {config['Entrypoint']}")
    yield "entry point: none, a job's command is run as it is"
    labels = config["Labels"] or {}
    _expect(bool(labels.get(_LABELS[0])), reference, f"it has no label {_LABELS[0]}")
    yield f"labels: {', '.join(str(labels.get(name)) for name in _LABELS)}"
    leaks = [word for word in config["Env"] if any(
        sign in word.split("=")[0].upper() for sign in ("SECRET", "TOKEN", "PASSWORD", "INDEX_URL")
    )]  # fmt: skip
    _expect(not leaks, reference, f"its environment holds {[w.split('=')[0] for w in leaks]}")
    yield "environment: no secrets"


def _run(client: Any, reference: str, command: list[str], gpus: int = 0) -> str:
    requests = [DeviceRequest(count=gpus, capabilities=[["gpu"]])] if gpus else None
    try:
        said = client.containers.run(
            reference, command, user=USER, remove=True, network_mode="none",
            device_requests=requests,
        )  # fmt: skip
    except ContainerError as error:
        said = _text(error.stderr)
        raise JobFailed(
            f"`{' '.join(command)}` fails in {reference}", detail=said[-600:], hint="`make images`"
        ) from error
    return _text(said).strip()


def _text(said: bytes | str | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""


def _expect(fine: bool, reference: str, otherwise: str) -> None:
    if not fine:
        raise JobFailed(f"{reference}: {otherwise}", hint="build it anew: `make images`")
