"""Depth maps and fused points in the files of a COLMAP dense workspace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.mvs.fusion import Points
from maquette.recon.mvs.patch_match import DepthMap
from maquette.scene.atomic import replacing

_VERTEX = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("color", "u1", 3)])
_MOST_HEADER = 64


def write_maps(folder: Path, name: str, found: DepthMap) -> None:
    """Write `depth_maps/NAME.geometric.bin` and `normal_maps/…` below `folder`, COLMAP's stereo."""
    _write_array(folder / "depth_maps" / f"{name}.geometric.bin", found.depth[..., None])
    _write_array(folder / "normal_maps" / f"{name}.geometric.bin", found.normals)


def read_maps(folder: Path, name: str) -> DepthMap:
    """Read what `write_maps` or COLMAP wrote; costs, which are not in the files, are 0.

    Raises:
        BadInput: a file is missing, damaged, or of another size.
    """
    depth = _read_array(folder / "depth_maps" / f"{name}.geometric.bin", 1)[..., 0]
    normals = _read_array(folder / "normal_maps" / f"{name}.geometric.bin", 3)
    if depth.shape != normals.shape[:2]:
        raise BadInput(f"depth and normals of `{name}` differ in size: `{folder}`")
    return DepthMap(depth, normals, np.zeros_like(depth))


def write_fused(path: Path, parts: Iterable[Points]) -> int:
    """Write points with normals and colours as PLY, and beside it, as `.vis`, which views saw them.

    Parts are written as they come. Returns how many points there are.
    """
    count = 0
    with tempfile.TemporaryFile() as vertices, tempfile.TemporaryFile() as seen:
        for part in parts:
            count += len(part.points)
            rows = np.empty(len(part.points), _VERTEX)
            rows["place"], rows["normal"], rows["color"] = part.points, part.normals, part.colors
            vertices.write(rows.tobytes())
            seen.write(_visibility(part.views))
        _write_after(path, _ply_header(count), vertices)
        _write_after(path.with_name(path.name + ".vis"), np.uint64(count).tobytes(), seen)
    return count


def _visibility(views: NDArray[np.int32]) -> bytes:
    """For each point how many views see it, then their numbers, all uint32."""
    listed = np.concatenate([(views >= 0).sum(1, keepdims=True), views], axis=1)
    return listed[listed >= 0].astype("<u4").tobytes()


def _ply_header(count: int) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    return "\n".join([*lines, "end_header", ""]).encode()


def _write_after(path: Path, header: bytes, body: BinaryIO) -> None:
    body.seek(0)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(header)
        shutil.copyfileobj(body, file)


def _write_array(path: Path, values: NDArray[np.float32]) -> None:
    """Write [H, W, C]: width, height and channels as text, then all of each channel."""
    height, width, channels = values.shape
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(f"{width}&{height}&{channels}&".encode())
        file.write(np.ascontiguousarray(values.transpose(2, 0, 1), "<f4").tobytes())


def _read_array(path: Path, channels: int) -> NDArray[np.float32]:
    try:
        data = path.read_bytes()
        width, height, depth = (int(word) for word in data[:_MOST_HEADER].split(b"&")[:3])
        start = len(f"{width}&{height}&{depth}&")
        values = np.frombuffer(data, "<f4", offset=start).reshape(depth, height, width)
    except (OSError, ValueError) as error:
        raise BadInput(f"`{path}` is no map of COLMAP: {error}") from error
    if depth != channels:
        raise BadInput(f"`{path}` has {depth} channels, not {channels}")
    return np.ascontiguousarray(values.transpose(1, 2, 0), np.float32)
