"""`.sog`, version 2 (PlayCanvas): a zip of lossless WebP pictures, a pixel a Gaussian.

Positions are 16 bits an axis on a logarithmic scale, rotations the three smallest components,
scales and colours places in codebooks of 256 values; the coefficients that depend on direction
are one of a palette of vectors. Gaussians lie in Morton order, so that pictures compress well.
The world is that of the PLY file; viewers turn both alike.

Values are rounded to no more digits than photographs show, since lossless pictures cost what the
digits are (docs/decisions/0012 has the measured price of each).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.splats.files.codebooks import (
    Floats,
    nearest_values,
    values_codebook,
    vectors_codebook,
)
from maquette.recon.splats.files.splat import to_bytes
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.morton import morton_order
from maquette.recon.splats.symmetry import least_turned
from maquette.scene.atomic import replacing

Bytes = NDArray[np.uint8]
LARGEST_FIRST = 252  # alpha of a rotation whose largest component is w
PALETTE_COLUMNS = 64
_MOST_PALETTE = 65_536
_PER_VECTOR = {1: 128, 2: 32, 3: 32}  # Gaussians for which one vector stands, by degree
_SCALE_STEP, _COLOR_STEP = 0.12, 0.1  # of logarithms; of coefficients
_POSITION_STEP = 0.15  # of the second axis, the median of all
_FEWEST_BITS, _MOST_BITS = 10, 16  # of positions
_ROTATION_STEP, _OPACITY_STEP = 4, 255 / 31  # of 255
_EFFORT = 4  # of the WebP encoder, 0 to 6: 6 takes three times as long and saves 1 %


def write_sog(path: Path, gaussians: Gaussians, *, antialiased: bool = True, seed: int = 0) -> None:
    """Write Gaussians, whole or not at all.

    Args:
        antialiased: They were trained with the opacity factor of antialiasing, which a viewer
            then has to apply as well.
        seed: Of the palette's k-means.
    """
    ordered = gaussians.chosen(morton_order(gaussians.means))
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sog_files(ordered, antialiased=antialiased, seed=seed):
            _store(archive, name, content)


def sog_files(
    gaussians: Gaussians, *, antialiased: bool = True, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what a `.sog` holds, `meta.json` last; the order of the rows is kept.

    Args:
        gaussians: Those near one another in space best stand together.
    """
    ordered = least_turned(gaussians.detached().to("cpu"))
    meta: dict[str, Any] = {
        "version": 2,
        "asset": {"generator": "maquette"},
        "count": len(ordered),
        "antialias": antialiased,
    }
    for key, facts, pictures in _parts(ordered, seed):
        files = [f"{name}.webp" for name in pictures]
        yield from zip(files, map(_webp, pictures.values()), strict=True)
        meta[key] = facts | {"files": files}
    yield "meta.json", json.dumps(meta).encode()


def _parts(ordered: Gaussians, seed: int) -> Iterator[tuple[str, dict[str, Any], dict[str, Bytes]]]:
    """Key, facts and pictures of each part of the file."""
    scales = ordered.log_scales.numpy()
    yield "means", *_means(ordered.means.numpy(), np.exp(np.sort(scales, axis=1)[:, 1]))
    book = _codebook(scales, _SCALE_STEP)
    picture = {"scales": _picture(nearest_values(scales, book))}
    yield "scales", {"codebook": _rounded(book)}, picture
    yield "quats", {}, {"quats": _picture(_smallest_three(ordered.rotations.numpy()))}
    colors = ordered.sh[:, 0].numpy()
    book = _codebook(colors, _COLOR_STEP)
    opacities = to_bytes(_stepped(ordered.opacities.numpy() * 255, _OPACITY_STEP))
    rgba = np.concatenate([nearest_values(colors, book), opacities[:, None]], axis=1)
    yield "sh0", {"codebook": _rounded(book)}, {"sh0": _picture(rgba)}
    if ordered.degree:
        yield "shN", *_palette(ordered, seed)


def _codebook(values: Floats, step: float) -> Floats:
    """Values in even steps, which compress best, where 256 reach; else the nearest ones."""
    low, high = float(values.min()), float(values.max())
    if high - low > 255 * step:
        return values_codebook(values)
    return (low + step * np.arange(round((high - low) / step) + 1)).astype(np.float32)


def _stepped(values: Floats, step: float) -> Floats:
    return (np.round(values / step) * step).astype(np.float32)


def position_bits(logarithms: Floats, sizes: Floats) -> int:
    """How many bits an axis needs for steps that are small beside the Gaussians.

    Args:
        logarithms: [N, 3] as they are stored; `sizes` [N] standard deviations, world units.
    """
    spans = np.ptp(logarithms, axis=0)
    coarse = (spans * np.exp(np.abs(logarithms))).max(axis=1) / np.maximum(sizes, 1e-30)
    needed = np.log2(max(float(np.median(coarse)), 1e-30) / _POSITION_STEP + 1)
    return int(np.clip(np.ceil(needed), _FEWEST_BITS, _MOST_BITS))


def _means(means: Floats, sizes: Floats) -> tuple[dict[str, Any], dict[str, Bytes]]:
    logarithms = np.sign(means) * np.log1p(np.abs(means.astype(np.float64)))
    low, high = logarithms.min(axis=0), logarithms.max(axis=0)
    unit = (logarithms - low) / np.maximum(high - low, 1e-30)
    bits = position_bits(logarithms, sizes)
    levels = np.round(unit * (2**bits - 1)).astype(np.uint16) << (16 - bits)
    top = int((2**bits - 1) << (16 - bits))  # what stands for `high`, of 65535
    facts = {"mins": low.tolist(), "maxs": (low + (high - low) * 65535 / top).tolist()}
    lower, upper = (levels & 255).astype(np.uint8), (levels >> 8).astype(np.uint8)
    return facts, {"means_l": _picture(lower), "means_u": _picture(upper)}


def _smallest_three(rotations: Floats) -> Bytes:
    """Unit quaternions (w, x, y, z) [N, 4] as bytes: three components, and which is left out."""
    largest = np.abs(rotations).argmax(axis=1)
    signs = np.where(np.take_along_axis(rotations, largest[:, None], axis=1) < 0, -1, 1)
    others = np.argsort(np.arange(4) == largest[:, None], axis=1, kind="stable")[:, :3]
    three = np.take_along_axis(rotations * signs, others, axis=1)
    left_out = (LARGEST_FIRST + largest).astype(np.uint8)
    rgb = to_bytes(_stepped((three / np.sqrt(2)) * 255, _ROTATION_STEP) + 127.5)
    return np.concatenate([rgb, left_out[:, None]], axis=1)


def _palette(ordered: Gaussians, seed: int) -> tuple[dict[str, Any], dict[str, Bytes]]:
    """The coefficients of degree 1 and more."""
    coefficients = ordered.sh.shape[1] - 1
    vectors = ordered.sh[:, 1:].reshape(len(ordered), -1)
    palette, labels = vectors_codebook(vectors, palette_size(len(ordered), ordered.degree), seed)
    values = palette.numpy()
    book = values_codebook(values)
    facts = {"count": len(values), "bands": ordered.degree, "codebook": _rounded(book)}
    rows = -(-len(values) // PALETTE_COLUMNS)
    centroids = np.zeros((rows * PALETTE_COLUMNS, coefficients, 3), np.uint8)
    centroids[: len(values)] = nearest_values(values, book).reshape(-1, coefficients, 3)
    places = labels.numpy()
    halves = np.stack([places & 255, places >> 8, np.zeros_like(places)], axis=1)
    return facts, {
        "shN_centroids": centroids.reshape(rows, PALETTE_COLUMNS * coefficients, 3),
        "shN_labels": _picture(halves.astype(np.uint8)),
    }


def _rounded(book: Floats) -> list[float]:
    """256 values with the digits that count: a small file is half codebooks otherwise."""
    values = [float(f"{value:.4g}") for value in book.tolist()]
    return values + [0.0] * (256 - len(values))


def palette_size(count: int, degree: int) -> int:
    """How many vectors stand for those of `count` Gaussians: a share, at most 65,536."""
    return min(_MOST_PALETTE, max(PALETTE_COLUMNS, count // _PER_VECTOR[degree]))


def _picture(values: Bytes) -> Bytes:
    """Rows [N, 3 or 4] as a picture whose sides are multiples of 4; what is left over is 0."""
    width = -(-int(np.ceil(np.sqrt(len(values)))) // 4) * 4
    height = -(-len(values) // width // 4) * 4
    height = max(4, height + (0 if width * height >= len(values) else 4))
    pixels = np.zeros((height * width, values.shape[1]), np.uint8)
    pixels[: len(values)] = values
    return pixels.reshape(height, width, -1)


def _webp(pixels: Bytes) -> bytes:
    """Lossless, with the colour of pixels whose alpha is 0."""
    content = io.BytesIO()
    options = {"lossless": True, "quality": 100, "method": _EFFORT, "exact": True}
    Image.fromarray(pixels).save(content, "WEBP", **options)
    return content.getvalue()


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add an entry as it is, with the same date always, so that files repeat."""
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
