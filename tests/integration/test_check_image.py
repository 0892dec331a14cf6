"""What `make check-image` says of our image, and of ones with a fault."""

from __future__ import annotations

import contextlib
import io
import random
import re
from collections.abc import Iterator

import pytest

from maquette.containers import checking
from maquette.containers.daemon import connected, find_daemon
from maquette.errors import JobFailed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def test_the_image_is_as_it_must_be(image: str) -> None:
    said = list(checking.check(image, find_daemon(), gpus=0))
    for line in ("user: 42420:42420", "contents: nothing of the build is left", "libraries: load",
                 "versions: as images/gpus.yaml says of cpu"):  # fmt: skip
        assert line in said
    machine = next(line for line in said if line.startswith("machine: "))
    assert "torch 2.13.0+cpu, warp-lang 1.17.0, warp CUDA 12.9, python 3." in machine
    kernels = [line for line in said if line.startswith("kernel ")]
    assert len(kernels) > 10 and all(line.startswith("kernel agrees") for line in kernels)


KERNELS = "/opt/maquette/maquette/recon/surface/kernels/checks.py"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("LABEL maquette.variant=cuda12", r"torch CUDA is ``, not `12\.6`"),
        (
            f"RUN sed -i 's/features, 1e-5,/features, -1.0,/' {KERNELS}",
            r"kernels differ from their twins: hash grid, preview, 1 points",
        ),
        (f"RUN sed -i 's/^    return Case($/    raise SystemExit(7)/' {KERNELS}", "fails in"),
        ("RUN mkdir /wheels", "of its build is left: /wheels"),
    ],
)
def test_an_image_with_a_fault_is_told(image: str, line: str, told: str) -> None:
    """Another torch than its label says; a kernel that differs, or breaks off; a leftover."""
    with changed_image(image, line) as wrong, pytest.raises(JobFailed, match=told):
        list(checking.check(wrong, find_daemon(), gpus=0))


def test_kernels_are_compiled_in_the_image_and_anybody_may_add_to_them(image: str) -> None:
    code = (
        "from warp._src import build; build.build_cpu = None  # it is not needed\n"
        "from maquette.recon import kernel_cache as cache\n"
        "raise SystemExit(cache.main(['--capabilities', '7.0']))"
    )
    for settings in ({"user": "1234"}, {"read_only": True, "tmpfs": {"/tmp": ""}}):
        with connected(find_daemon()) as client:
            said = client.containers.run(image, ["python", "-c", code], remove=True, **settings)
        assert re.fullmatch(rb"(\d+) modules of kernels, (\d+) of \2 files for GPUs\n", said)


@contextlib.contextmanager
def changed_image(image: str, line: str) -> Iterator[str]:
    """The image with one more line in its Dockerfile."""
    name = f"maquette-test:{random.randrange(1 << 32):08x}"
    text = f"FROM {image}\nUSER root\n{line}\nUSER 42420:42420\n"
    with connected(find_daemon()) as client:
        client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
        try:
            yield name
        finally:
            client.images.remove(name, force=True)
