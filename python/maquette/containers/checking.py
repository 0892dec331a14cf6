"""Check an image in real containers before a job depends on it; one line for each check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from docker.errors import ImageNotFound
from docker.types import DeviceRequest

from maquette.containers.daemon import Daemon, connected
from maquette.containers.variants import Variant, variants, warp_cuda
from maquette.errors import JobFailed, NotFound

USER = "42420:42420"
_LABELS = ("org.opencontainers.image.version", "org.opencontainers.image.revision")
_VARIANT = "maquette.variant"
_WRITES_HOME = 'test "$HOME" = /workspace && echo x > "$HOME/.written" && id -u'
_OF_THE_BUILD = ("/build", "/wheels", "/extra_ca", "/opt/build", "/opt/venv/bin/pip")
_GPUS = "import json, torch; print(json.dumps([torch.cuda.get_device_name(i) for i in " \
    "range(torch.cuda.device_count())]))"  # fmt: skip


class CommandResult(NamedTuple):
    """How a command in a container ended."""

    code: int
    printed: str
    errors: str


def check(reference: str, daemon: Daemon, gpus: int) -> Iterator[str]:
    """Check configuration, contents, commands, libraries, GPUs and every kernel beside its twin.

    Kernels run on the GPU where one is wanted, with all sizes; else on the CPU, with small ones.

    Args:
        gpus: How many GPUs the image must see; 0 asks for none.

    Raises:
        NotFound: there is no such image.
        JobFailed: something is not as it must be.
    """
    with connected(daemon) as client:
        try:
            image = client.images.get(reference)
        except ImageNotFound:
            raise NotFound(f"there is no image `{reference}`", hint="`make images`") from None
        variant = variants().get((image.attrs["Config"]["Labels"] or {}).get(_VARIANT, ""))
        yield from _check_configuration(reference, image.attrs["Config"])
        yield from _check_size(reference, image.attrs["Size"] / 1e9, variant)
        yield from _check_contents(client, reference)
        found = json.loads(_run(client, reference, ["python", "-c", _GPUS], gpus))
        _expect(len(found) >= gpus, reference, f"{gpus} GPU wanted, {len(found)} visible")
        yield f"GPUs: {', '.join(found) or 'none visible, none wanted'}"
        yield from _check_kernels(client, reference, gpus, variant)


def _check_configuration(reference: str, config: dict[str, Any]) -> Iterator[str]:
    _expect(config["User"] == USER, reference, f"it runs as `{config['User']}`, not as {USER}")
    yield f"user: {USER}"
    _expect(not config["Entrypoint"], reference, f"it has an entry point: {config['Entrypoint']}")
    yield "entry point: none, a job's command is run as it is"
    labels = config["Labels"] or {}
    _expect(bool(labels.get(_LABELS[0])), reference, f"it has no label {_LABELS[0]}")
    yield f"labels: {', '.join(str(labels.get(name)) for name in (*_LABELS, _VARIANT))}"
    leaks = [word for word in config["Env"] if any(
        sign in word.split("=")[0].upper() for sign in ("SECRET", "TOKEN", "PASSWORD", "INDEX_URL")
    )]  # fmt: skip
    _expect(not leaks, reference, f"its environment holds {[w.split('=')[0] for w in leaks]}")
    yield "environment: no secrets"


def _check_size(reference: str, size_gb: float, variant: Variant | None) -> Iterator[str]:
    most = variant.largest_gb if variant else 0.0
    _expect(not most or size_gb <= most, reference,
            f"it takes {size_gb:.2f} GB, {most:g} GB are thought right")  # fmt: skip
    yield f"size: {size_gb:.2f} GB"


def _check_contents(client: Any, reference: str) -> Iterator[str]:
    _expect(_run(client, reference, ["sh", "-c", _WRITES_HOME]) == "42420", reference,
            "uid 42420 can not write its HOME, /workspace")  # fmt: skip
    yield "home: /workspace, writable for uid 42420"
    left = _run(client, reference, ["sh", "-c", f"ls -d {' '.join(_OF_THE_BUILD)} || true"])
    _expect(not left, reference, f"of its build is left: {' '.join(left.split())}")
    yield "contents: nothing of the build is left"
    _expect("pipeline" in _run(client, reference, ["maquette-step", "--help"]), reference,
            "maquette-step does not run")  # fmt: skip
    yield "maquette-step: runs"
    _run(client, reference, ["python", "-m", "maquette.agent", "--help"])
    yield "agent: runs"
    _run(client, reference, ["python", "-c", "import torch, pycolmap, warp, av, skimage"])
    yield "libraries: load"


def _check_kernels(
    client: Any, reference: str, gpus: int, variant: Variant | None
) -> Iterator[str]:
    quick = [] if gpus else ["--quick"]
    command = ["python", "-m", "maquette.recon.kernel_checks", "--json", *quick]
    ended = _run_command(client, reference, command, gpus)
    machine, *results = map(json.loads, ended.printed.splitlines() or ("{}",))
    if not results:
        raise _failed(reference, command, ended)
    yield f"machine: {', '.join(f'{name} {text}' for name, text in machine.items() if text)}"
    if variant:
        yield from _check_versions(reference, machine, variant)
        words = ["python", "-m", "maquette.recon.kernel_cache", "--check", "--capabilities"]
        carried = _run(client, reference, [*words, *variant.capabilities])
        yield f"compiled in advance: {carried.splitlines()[-1]}"
    differing = []
    for result in results:
        name = f"{result['kernel']}, {result['size']}"
        agrees = result["error"] <= result["allowed"]  # not where it is NaN
        differing += [] if agrees else [name]
        yield (
            f"kernel {'agrees ' if agrees else 'DIFFERS'}: {name}: error {result['error']:.1e}, "
            f"{result['fast_ms']:.3f} ms, its twin {result['slow_ms']:.3f} ms"
        )
    _expect(not differing, reference, f"kernels differ from their twins: {'; '.join(differing)}")
    if ended.code:  # it broke off
        raise _failed(reference, command, ended)


def _check_versions(reference: str, machine: dict[str, str], variant: Variant) -> Iterator[str]:
    for name, wanted in (("torch CUDA", variant.torch_cuda), ("warp CUDA", warp_cuda())):
        _expect(machine[name] == wanted, reference, f"{name} is `{machine[name]}`, not `{wanted}`, "
                f"which images/gpus.yaml says of {variant.name}")  # fmt: skip
    code = {f"sm_{capability.replace('.', '')}" for capability in variant.torch_code}
    missing = code - set(machine["torch code"].split())
    _expect(not missing, reference, f"its torch has no code for {', '.join(sorted(missing))}")
    yield f"versions: as images/gpus.yaml says of {variant.name}"


def _run(client: Any, reference: str, command: list[str], gpus: int = 0) -> str:
    """What a command prints in a container of the image.

    Raises:
        JobFailed: it ends with something else than 0.
    """
    ended = _run_command(client, reference, command, gpus)
    if ended.code:
        raise _failed(reference, command, ended)
    return ended.printed


def _run_command(client: Any, reference: str, command: list[str], gpus: int) -> CommandResult:
    requests = [DeviceRequest(count=gpus, capabilities=[["gpu"]])] if gpus else None
    container = client.containers.create(
        reference, command, user=USER, network_mode="none", device_requests=requests
    )
    try:
        container.start()
        code = container.wait()["StatusCode"]
        printed, errors = (container.logs(stdout=out, stderr=not out) for out in (True, False))
        return CommandResult(code, _text(printed).strip(), _text(errors).strip())
    finally:
        container.remove(force=True)


def _failed(reference: str, command: list[str], ended: CommandResult) -> JobFailed:
    return JobFailed(
        f"`{' '.join(command)}` fails in {reference}",
        detail=(ended.errors or ended.printed)[-600:],
        hint="`make images`",
    )


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _expect(fine: bool, reference: str, otherwise: str) -> None:
    if not fine:
        raise JobFailed(f"{reference}: {otherwise}", hint="build it anew: `make images`")
