"""Depth maps and fused points in the files of a COLMAP dense workspace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.geometry.points import PointCloud, read_points
from maquette.recon.mvs.fused_files import visibility_file
from maquette.recon.mvs.fusion import Points
from maquette.recon.mvs.patch_match import DepthMap
from maquette.scene.atomic import replacing, write_text

_VERTEX = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("color", "u1", 3)])
_MOST_HEADER = 64
_COUNT_BYTES = 8
_AGAIN = "remove it and run `make process` again: it alone is made again"
Pass = Literal["photometric", "geometric"]


def map_files(folder: Path, name: str, of: Pass = "geometric") -> tuple[Path, Path]:
    """Where the depths and the normals of a picture lie below `folder`, COLMAP's `stereo`.

    Args:
        name: The picture's, with its suffix.
        of: The pass that made them: from pictures alone, or also from other views' depths.
    """
    file = f"{name}.{of}.bin"
    return folder / "depth_maps" / file, folder / "normal_maps" / file


def write_maps(folder: Path, name: str, found: DepthMap, of: Pass = "geometric") -> None:
    """Write the two files of `map_files`."""
    depths, normals = map_files(folder, name, of)
    _write_array(depths, found.depth[..., None])
    _write_array(normals, found.normals)


def read_maps(folder: Path, name: str, of: Pass = "geometric") -> DepthMap:
    """Read what `write_maps` or COLMAP wrote; costs, which are not in the files, are 0.

    Raises:
        BadInput: a file is missing, damaged, or of another size.
    """
    files = map_files(folder, name, of)
    depth, normals = _read_array(files[0], 1)[..., 0], _read_array(files[1], 3)
    if depth.shape != normals.shape[:2]:
        raise BadInput(f"depth and normals of `{name}` differ in size: `{folder}`", hint=_AGAIN)
    return DepthMap(depth, normals, np.zeros_like(depth))


def read_depths(folder: Path, name: str, of: Pass = "geometric") -> NDArray[np.float32]:
    """Read the depths [H, W] alone.

    Raises:
        BadInput: the file is missing or damaged.
    """
    return _read_array(map_files(folder, name, of)[0], 1)[..., 0]


def confidence_file(folder: Path, name: str) -> Path:
    """Where it lies how sure a network is of a picture's depths, below COLMAP's `stereo`."""
    return folder / "confidence_maps" / f"{name}.photometric.bin"


def write_confidence(folder: Path, name: str, values: NDArray[np.float32]) -> Path:
    """Write confidences [H, W] in 0..1; returns the file."""
    path = confidence_file(folder, name)
    _write_array(path, values[..., None])
    return path


def read_confidence(folder: Path, name: str) -> NDArray[np.float32]:
    """Read what `write_confidence` wrote, [H, W].

    Raises:
        BadInput: the file is missing or damaged.
    """
    return _read_array(confidence_file(folder, name), 1)[..., 0]


def filtered_file(folder: Path, name: str) -> Path:
    """Where the depths of a picture lie that other views agree with, below COLMAP's `stereo`."""
    return folder / "filtered" / f"{name}.bin"


def write_filtered(folder: Path, name: str, depth: NDArray[np.float32]) -> None:
    """Write depths [H, W], 0 where no other view agrees."""
    _write_array(filtered_file(folder, name), depth[..., None])


def read_filtered_depth(folder: Path, name: str) -> NDArray[np.float32]:
    """Read what `write_filtered` wrote, [H, W]; raises as `read_filtered` does."""
    return _read_array(filtered_file(folder, name), 1)[..., 0]


def read_filtered(folder: Path, name: str) -> DepthMap:
    """Read the filtered depths with the normals of the geometric pass; costs are 0.

    Raises:
        BadInput: a file is missing, damaged, or of another size.
    """
    depth = read_filtered_depth(folder, name)
    normals = _read_array(map_files(folder, name)[1], 3)
    if depth.shape != normals.shape[:2]:
        raise BadInput(f"depth and normals of `{name}` differ in size: `{folder}`", hint=_AGAIN)
    return DepthMap(depth, normals * (depth > 0)[..., None], np.zeros_like(depth))


def write_configuration(folder: Path, names: Sequence[str], pairs: Sequence[Sequence[int]]) -> None:
    """Write `fusion.cfg`, the pictures, and `patch-match.cfg`, their sources, for COLMAP.

    Args:
        names: Of the pictures that have a depth map.
        pairs: Of each the numbers of its source views among all `names`.
    """
    write_text(folder / "fusion.cfg", "".join(f"{name}\n" for name in names))
    listed = zip(names, pairs, strict=True)
    lines = [f"{name}\n{', '.join(names[source] for source in found)}\n" for name, found in listed]
    write_text(folder / "patch-match.cfg", "".join(lines))


def write_fused(path: Path, parts: Iterable[Points]) -> int:
    """Write points with normals and colours as PLY, and beside it, as `.vis`, which views saw them.

    Parts are written as they come. Returns how many points there are.
    """
    count = 0
    folder = path.parent  # the system's own one for temporary files may be small
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as vertices, tempfile.TemporaryFile(dir=folder) as seen:
        for part in parts:
            count += len(part.points)
            rows = np.empty(len(part.points), _VERTEX)
            rows["place"], rows["normal"], rows["color"] = part.points, part.normals, part.colors
            vertices.write(rows.tobytes())
            seen.write(_visibility(part.views))
        _write_after(path, _ply_header(count), vertices)
        _write_after(visibility_file(path), np.uint64(count).tobytes(), seen)
    return count


def made_again(path: Path) -> str:
    """What makes points again that are in `dense/PIPELINE/GROUP`, or does without, in words."""
    return (
        f"remove it and run `make process PIPELINE={path.parent.parent.name}`: it is made again; "
        "a neural surface does without it with DENSE=off"
    )


def read_fused(path: Path) -> PointCloud:
    """Read points that `write_fused` or COLMAP wrote.

    Raises:
        NotFound: there is no such file.
        BadInput: it is damaged.
    """
    try:
        return read_points(path)
    except BadInput as error:
        raise BadInput(f"`{path}` is damaged", detail=error.what, hint=made_again(path)) from error


def read_visibility(path: Path) -> NDArray[np.int32]:
    """Read which views see each point of a `.vis` file: [N, K], −1 where fewer than K do.

    Raises:
        BadInput: the file is missing or damaged.
    """
    try:
        count = int(np.fromfile(path, "<u8", count=1)[0])
        return _views(np.fromfile(path, "<u4", offset=_COUNT_BYTES), count)
    except (OSError, ValueError, IndexError) as error:
        raise BadInput(
            f"`{path}` does not tell which views see its points: {error}",
            hint=made_again(path),
        ) from error


def _views(listed: NDArray[np.uint32], count: int) -> NDArray[np.int32]:
    """Views of `count` points from a list that says of each how many there are, then which."""
    lengths = np.empty(count, np.int64)
    at = 0
    for point in range(count):
        lengths[point] = listed[at]
        at += 1 + int(listed[at])
    if at != len(listed):
        raise ValueError(f"{len(listed)} numbers of views where {at} were to be expected")
    views = np.full((count, int(lengths.max(initial=0))), -1, np.int32)
    is_view = np.ones(len(listed), bool)
    is_view[np.cumsum(1 + lengths) - 1 - lengths] = False
    views[np.arange(views.shape[1]) < lengths[:, None]] = listed[is_view]
    return views


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
        raise BadInput(f"`{path}` is no map of COLMAP: {error}", hint=_AGAIN) from error
    if depth != channels:
        raise BadInput(f"`{path}` has {depth} channels, not {channels}", hint=_AGAIN)
    return np.array(values.transpose(1, 2, 0), np.float32, order="C")
