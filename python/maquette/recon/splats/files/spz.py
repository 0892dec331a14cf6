"""`.spz`, version 3 (Niantic): gzip over columns of rounded values.

Positions are 24-bit fixed point, rotations the three smallest components of 10 bits, all else a
byte. The file's axes are x right, y up, z back: COLMAP's turned half around x.
"""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.errors import BadInput, NotFound
from maquette.recon.splats.files.splat import to_bytes
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.turning import turned
from maquette.scene.atomic import replacing

Bytes = NDArray[np.uint8]
_MAGIC, _VERSION = 0x5053474E, 3
_HEADER = struct.Struct("<IIIBBBB")
_ANTIALIASED = 1
_HALF_AROUND_X = np.diag([1.0, -1.0, -1.0])
_COLOR_SCALE = 0.15
_MAGNITUDE = 511  # of a rotation's component, 9 bits and a sign
_STEPS = (8, 16)  # of a coefficient's byte: degree 1, and the others


def write_spz(path: Path, gaussians: Gaussians, *, antialiased: bool = True) -> None:
    """Write Gaussians, whole or not at all.

    Args:
        antialiased: They were trained with the opacity factor of antialiasing.
    """
    own = turned(gaussians.detached().to("cpu"), _HALF_AROUND_X)
    fraction_bits = _fraction_bits(own)
    header = _HEADER.pack(
        _MAGIC, _VERSION, len(own), own.degree, fraction_bits, _ANTIALIASED * antialiased, 0
    )
    columns = [
        _fixed(own.means.numpy(), fraction_bits),
        to_bytes(own.opacities.numpy() * 255),
        to_bytes((own.sh[:, 0].numpy() * _COLOR_SCALE + 0.5) * 255),
        to_bytes((own.log_scales.numpy() + 10) * 16),
        _packed(own.rotations.numpy()),
        _rounded(own.sh[:, 1:].numpy()),
    ]
    content = header + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0))


def read_spz(path: Path) -> Gaussians:
    """Read Gaussians of a file of version 3.

    Raises:
        NotFound: there is no such file.
        BadInput: it is cut off, or no `.spz` of version 3.
    """
    if not path.is_file():
        raise NotFound(f"no splats: `{path}`", hint="run `make extract PIPELINE=splat` first")
    try:
        content = gzip.decompress(path.read_bytes())
        magic, version, count, degree, fraction_bits, _, _ = _HEADER.unpack_from(content)
        if (magic, version) != (_MAGIC, _VERSION) or degree > 3:
            raise ValueError("another magic number, version or degree")
        return _from_columns(content[_HEADER.size :], count, degree, fraction_bits)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise BadInput(
            f"`{path}` is cut off or no `.spz` of version 3: {error}",
            hint="copy or make the file again",
        ) from error


def _from_columns(content: bytes, count: int, degree: int, fraction_bits: int) -> Gaussians:
    others = (degree + 1) ** 2 - 1
    widths = (9, 1, 3, 3, 4, 3 * others)
    if len(content) != count * sum(widths):
        raise ValueError(f"{len(content):,} bytes for {count:,} Gaussians of degree {degree}")
    starts = np.cumsum((0, *widths)) * count
    bytes_ = np.frombuffer(content, np.uint8)
    parts = [bytes_[a:b].reshape(count, -1) for a, b in itertools.pairwise(starts)]
    positions, opacities, colors, scales, rotations, rest = parts
    sh = np.concatenate([
        ((colors.astype(np.float32) / 255 - 0.5) / _COLOR_SCALE)[:, None],
        (rest.astype(np.float32) - 128).reshape(count, others, 3) / 128,
    ], axis=1)  # fmt: skip
    own = Gaussians(
        means=torch.from_numpy(_from_fixed(positions, fraction_bits)),
        log_scales=torch.from_numpy(scales.astype(np.float32) / 16 - 10),
        quaternions=torch.from_numpy(_unpacked(rotations)),
        opacity_logits=torch.logit(
            torch.from_numpy(opacities[:, 0].astype(np.float32) / 255), eps=1e-3
        ),
        sh=torch.from_numpy(sh),
    )
    return turned(own, _HALF_AROUND_X.T)


def _fraction_bits(own: Gaussians) -> int:
    """Of a coordinate, whose 24 bits have to hold the farthest one: 12, or what is left."""
    farthest = float(own.means.abs().max())
    return int(max(0, min(12, 23 - np.ceil(np.log2(max(farthest, 1e-30)) + 1e-6))))


def _fixed(means: NDArray[np.float32], fraction_bits: int) -> Bytes:
    """24 bits each, little-endian, [N, 9]."""
    whole = np.round(means.astype(np.float64) * 2**fraction_bits)
    whole = whole.clip(-(2**23), 2**23 - 1).astype("<i4")
    return np.ascontiguousarray(whole).view(np.uint8).reshape(len(means), 3, 4)[:, :, :3]


def _from_fixed(positions: Bytes, fraction_bits: int) -> NDArray[np.float32]:
    padded = np.zeros((len(positions), 3, 4), np.uint8)
    padded[:, :, 1:] = positions.reshape(-1, 3, 3)
    whole = padded.view("<i4")[:, :, 0] >> 8  # the sign comes along
    return (whole / 2.0**fraction_bits).astype(np.float32)


def _packed(rotations: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Two bits for the largest of x, y, z, w, then 10 for each other one, the first highest."""
    xyzw = rotations[:, [1, 2, 3, 0]]
    largest = np.abs(xyzw).argmax(axis=1)
    is_turned = np.take_along_axis(xyzw, largest[:, None], axis=1)[:, 0] < 0
    packed = largest.astype("<u4")
    for index in range(4):
        component = np.where(is_turned, -xyzw[:, index], xyzw[:, index])
        magnitude = np.floor(np.abs(component) * np.sqrt(2) * _MAGNITUDE + 0.5).astype("<u4")
        bits = (component < 0).astype("<u4") << 9 | np.minimum(magnitude, _MAGNITUDE)
        packed = np.where(largest == index, packed, packed << 10 | bits).astype("<u4")
    return packed


def _unpacked(rotations: Bytes) -> NDArray[np.float32]:
    packed = np.ascontiguousarray(rotations).view("<u4")[:, 0].astype(np.int64)
    largest, xyzw = packed >> 30, np.zeros((len(packed), 4))
    for index in (3, 2, 1, 0):
        is_stored = largest != index
        magnitude = (packed & _MAGNITUDE) / (_MAGNITUDE * np.sqrt(2))
        component = np.where(packed & 512, -magnitude, magnitude)
        xyzw[:, index] = np.where(is_stored, component, 0.0)
        packed = np.where(is_stored, packed >> 10, packed)
    rest = np.sqrt(np.maximum(0, 1 - (xyzw**2).sum(axis=1)))
    np.put_along_axis(xyzw, largest[:, None], rest[:, None], axis=1)
    return xyzw[:, [3, 0, 1, 2]].astype(np.float32)


def _rounded(others: NDArray[np.float32]) -> Bytes:
    """Coefficients [N, K − 1, 3] as bytes of few different values, which gzip likes."""
    steps = np.where(np.arange(others.shape[1]) < 3, *_STEPS)[:, None]
    levels = np.round(others * 128 / steps) * steps + 128
    return np.clip(levels, 0, 255).astype(np.uint8)
