"""Whether torch can use the NVIDIA GPUs of this machine, and what to install where it can not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from maquette.errors import ConfigError

# The first driver that runs code of a CUDA generation; images/gpus.yaml says the same.
DRIVERS = {"12": (525, 60), "13": (580, 65)}
# Torch's build for older drivers and for GPUs before Turing (V100).
OLDER = "cu126"

_VERSION = Path("/proc/driver/nvidia/version")


def why_unused(version_file: Path = _VERSION) -> str:
    """Why a GPU of this machine is left alone though nobody said so; empty where none is.

    Args:
        version_file: Where the kernel tells the NVIDIA driver's version.
    """
    if torch.cuda.is_available() or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return ""
    driver = driver_version(version_file)
    if not driver:
        return ""
    built = torch.version.cuda
    if built is None:
        return f"there is an NVIDIA driver, but torch {torch.__version__} computes on CPUs only"
    needed = DRIVERS.get(built.split(".")[0], (0, 0))
    if driver < needed:
        return (
            f"the GPU is not used: driver {_text(driver)} is older than {_text(needed)}, which "
            f"torch {torch.__version__} needs. Update the driver, or {_install()}"
        )
    return "there is an NVIDIA driver, but torch finds no GPU: try `nvidia-smi`"


def device_of(count: int, part: int = 0) -> torch.device:
    """Where a part of some work runs: on one of `count` GPUs in turns; the CPU where none is."""
    usable = min(count, torch.cuda.device_count()) if torch.cuda.is_available() else 0
    return torch.device("cuda", part % usable) if usable else torch.device("cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth computing with: GPUs since compute capability 8.0."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def code() -> list[str]:
    """What torch was built for, also where there is no GPU: `sm_80`, `compute_120`."""
    flags = getattr(torch._C, "_cuda_getArchFlags", str)()
    return str(flags or "").split()


def check_code() -> None:
    """Refuse a GPU that this torch has no code for, before a kernel fails.

    Raises:
        ConfigError: there is one.
    """
    for index in range(torch.cuda.device_count()):
        capability = torch.cuda.get_device_capability(index)
        if not runs_on(capability, code()):
            name = torch.cuda.get_device_name(index)
            raise ConfigError(
                f"torch {torch.__version__} has no code for {name}",
                detail="compute capability {}.{}".format(*capability),
                hint=f"{_install()}; or GPU=0",
            )


def runs_on(capability: tuple[int, int], names: Sequence[str]) -> bool:
    """Whether a GPU runs one of these: `sm_86` on 8.6 and 8.9, `compute_80` on all since 8.0."""
    for name in names:
        kind, _, digits = name.rstrip("af").partition("_")
        major, minor = int(digits[:-1]), int(digits[-1])
        same = kind == "sm" and major == capability[0] and minor <= capability[1]
        if same or (kind == "compute" and (major, minor) <= capability):
            return True
    return False


def driver_version(version_file: Path = _VERSION) -> tuple[int, ...]:
    """The NVIDIA driver's, as (535, 183, 1); empty without one."""
    try:
        words = version_file.read_text(encoding="utf-8").split()
    except OSError:
        return ()
    versions = [word for word in words if word.replace(".", "").isdigit() and "." in word]
    return tuple(int(part) for part in versions[0].split(".")) if versions else ()


def _install() -> str:
    version = torch.__version__.partition("+")[0]
    return (
        f"`.venv/bin/pip install torch=={version} "
        f"--index-url https://download.pytorch.org/whl/{OLDER}`"
    )


def _text(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
