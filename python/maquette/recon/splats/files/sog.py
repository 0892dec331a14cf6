"""`.sog`, version 2 (PlayCanvas): a zip of lossless WebP pictures, a pixel a Gaussian.

Positions are 16 bits an axis on a logarithmic scale, rotations the three smallest components,
scales and colours places in codebooks of 256 values; the coefficients that depend on direction
are one of a palette of vectors. Gaussians lie in Morton order, within each class of those that
are rounded alike (sog_steps.py), so that pictures compress well.
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
import torch
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.splats.files.codebooks import (
    Floats,
    nearest_values,
    values_codebook,
    vectors_codebook,
)
from maquette.recon.splats.files.sog_steps import Steps, even_steps, steps_for
from maquette.recon.splats.files.splat import to_bytes
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.sensitivity import Sensitivity
from maquette.recon.splats.symmetry import least_turned
from maquette.scene.atomic import replacing

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
LARGEST_FIRST = 252  # alpha of a rotation whose largest component is w
PALETTE_COLUMNS = 64
_MOST_PALETTE = 65_536
_PER_VECTOR = {1: 128, 2: 32, 3: 32}  # Gaussians for which one vector stands, by degree
_FEWEST_BITS, _MOST_BITS = 10, 16  # of positions
_LEVELS = 2**_MOST_BITS
_EFFORT = 4  # of the WebP encoder, 0 to 6: 6 takes three times as long and saves 1 %


def write_sog(
    path: Path, gaussians: Gaussians, *, antialiased: bool = True, seed: int = 0,
    shown: Sensitivity | None = None,
) -> None:  # fmt: skip
    """Write Gaussians, whole or not at all.

    Args:
        antialiased: They were trained with the opacity factor of antialiasing, which a viewer
            then has to apply as well.
        seed: Of the palette's k-means.
        shown: How much each number matters to pictures, in the units of the Gaussians; None: not
            known.
    """
    own = gaussians.detached().to("cpu")
    steps = even_steps(own) if shown is None else steps_for(own, shown.to("cpu"))
    ordered, steps = own.chosen(steps.order), steps.in_order()
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sog_files(ordered, steps, antialiased=antialiased, seed=seed):
            _store(archive, name, content)


def sog_files(
    gaussians: Gaussians, steps: Steps, *, antialiased: bool = True, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what a `.sog` holds, `meta.json` last; the order of the rows is kept.

    Args:
        gaussians: Those near one another in space best stand together.
        steps: Their own, in the same order.
    """
    ordered = least_turned(gaussians.detached().to("cpu"))
    meta: dict[str, Any] = {
        "version": 2,
        "asset": {"generator": "maquette"},
        "count": len(ordered),
        "antialias": antialiased,
    }
    for key, facts, pictures in _parts(ordered, steps, seed):
        files = [f"{name}.webp" for name in pictures]
        yield from zip(files, map(_webp, pictures.values()), strict=True)
        meta[key] = facts | {"files": files}
    yield "meta.json", json.dumps(meta).encode()


def _parts(
    ordered: Gaussians, steps: Steps, seed: int
) -> Iterator[tuple[str, dict[str, Any], dict[str, Bytes]]]:
    """Key, facts and pictures of each part of the file."""
    yield "means", *_means(ordered.means.numpy(), steps.means)
    book, places = _in_codebook(ordered.log_scales.numpy(), steps.log_scales)
    yield "scales", {"codebook": _rounded(book)}, {"scales": _picture(places)}
    quats = _smallest_three(ordered.rotations.numpy(), steps.rotations)
    yield "quats", {}, {"quats": _picture(quats)}
    book, places = _in_codebook(ordered.sh[:, 0].numpy(), steps.colors)
    opacities = to_bytes(255 * _stepped(ordered.opacities.numpy(), steps.opacities))
    rgba = np.concatenate([places, opacities[:, None]], axis=1)
    yield "sh0", {"codebook": _rounded(book)}, {"sh0": _picture(rgba)}
    if ordered.degree:
        yield "shN", *_palette(ordered, steps.to_the_mean, seed)


def _in_codebook(values: Floats, steps: Doubles) -> tuple[Floats, Bytes]:
    """A codebook for values [N, C], and places in it, as coarse as their steps [N].

    It has even steps, which compress best, where 256 reach; else the values that lie nearest.
    """
    low, high = float(values.min()), float(values.max())
    if high - low > 255 * np.median(steps):
        book = values_codebook(values)
        return book, nearest_values(values, book)
    step = max(float(steps.min()), (high - low) / 255, 1e-12)
    book = (low + step * np.arange(round((high - low) / step) + 1)).astype(np.float32)
    multiples = np.maximum(np.round(steps / step), 1)
    places = np.clip(_stepped((values - low) / step, multiples), 0, len(book) - 1)
    return book, places.astype(np.uint8)


def _stepped(values: Floats, steps: Doubles) -> Doubles:
    """Values [N] or [N, C] as multiples of steps [N]."""
    own = steps if values.ndim == 1 else steps[:, None]
    stepped: Doubles = np.round(values / own) * own
    return stepped


def position_bits(logarithms: Doubles, spans: Doubles, steps: Doubles) -> int:
    """How many bits an axis needs for such steps, at most of half of the Gaussians larger ones.

    Args:
        logarithms: [N, 3] as they are stored, within `spans` [3]; `steps` [N] world units.
    """
    coarse = (spans * np.exp(np.abs(logarithms))).max(axis=1) / np.maximum(steps, 1e-30)
    needed = np.log2(max(float(np.median(coarse)), 1e-30) + 1)
    return int(np.clip(np.ceil(needed), _FEWEST_BITS, _MOST_BITS))


def _means(means: Floats, steps: Doubles) -> tuple[dict[str, Any], dict[str, Bytes]]:
    logarithms = np.sign(means) * np.log1p(np.abs(means.astype(np.float64)))
    low, high = logarithms.min(axis=0), logarithms.max(axis=0)
    spans = high - low
    levels = (logarithms - low) / np.maximum(spans, 1e-30) * (_LEVELS - 1)
    for step in np.unique(steps):
        rows = steps == step
        unit = 2 ** (_MOST_BITS - position_bits(logarithms[rows], spans, steps[rows]))
        levels[rows] = np.minimum(np.round(levels[rows] / unit) * unit, _LEVELS - unit)
    facts = {"mins": low.tolist(), "maxs": high.tolist()}
    whole = levels.astype(np.uint16)
    lower, upper = (whole & 255).astype(np.uint8), (whole >> 8).astype(np.uint8)
    return facts, {"means_l": _picture(lower), "means_u": _picture(upper)}


def _smallest_three(rotations: Floats, steps: Doubles) -> Bytes:
    """Unit quaternions (w, x, y, z) [N, 4] as bytes: three components, and which is left out."""
    largest = np.abs(rotations).argmax(axis=1)
    signs = np.where(np.take_along_axis(rotations, largest[:, None], axis=1) < 0, -1, 1)
    others = np.argsort(np.arange(4) == largest[:, None], axis=1, kind="stable")[:, :3]
    three = np.take_along_axis(rotations * signs, others, axis=1)
    left_out = (LARGEST_FIRST + largest).astype(np.uint8)
    rgb = to_bytes(_stepped(three, steps) / np.sqrt(2) * 255 + 127.5)
    return np.concatenate([rgb, left_out[:, None]], axis=1)


def _palette(
    ordered: Gaussians, to_the_mean: Doubles, seed: int
) -> tuple[dict[str, Any], dict[str, Bytes]]:
    """The coefficients of degree 1 and more; what hardly shows is the mean of all."""
    coefficients = ordered.sh.shape[1] - 1
    vectors = ordered.sh[:, 1:].reshape(len(ordered), -1)
    size = palette_size(len(ordered), ordered.degree)
    far = ((vectors - vectors.mean(0)).square().sum(1) > torch.from_numpy(to_the_mean)).nonzero()
    own, which = vectors_codebook(vectors[far[:, 0]], size - 1, seed)
    palette = torch.cat([vectors.mean(0, keepdim=True), own])
    labels = torch.zeros(len(vectors), dtype=torch.int64)
    labels[far[:, 0]] = 1 + which
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
