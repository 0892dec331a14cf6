"""`manifest.json`: what a viewer has to know, in SplatWalk's form and more (docs/manifest.md).

Its keys keep their names and meanings (docs/splat.md); ours stand beside them. All lengths are in
the units of the files it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.scene.region import Region
from maquette.scene.transforms import Frame

SCHEMA_VERSION = 1
STATEMENT = "reconstructed from the photographs alone; no generated content"
_EYE_SHARE = 0.05  # of the scene's size: how high a walker's eyes are
_AHEAD = 2.5  # eye heights
FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Facts:
    """What a manifest tells besides where the Gaussians are.

    Attributes:
        files: Of splats, by format, their names beside the manifest; `.splat`, else the first, is
            what viewers show that know no other key. Empty where there are no splats.
        sizes: Their bytes, by format.
        best: The format that shows the scene best.
        up: The world direction that is up, [3].
        scale: The files' units in a unit of the world of `region` and `frames`.
        license: Of the content, as its owner says; "" where nothing was said.
        georeference: Where on Earth the world lies; None where that is not known.
        mesh: Names of the files of a mesh of the surface, by format; empty: there is none.
        ground: Address of a mesh that a walker stands on, in the files' units; "": there is none.
    """

    files: Mapping[str, str]
    sizes: Mapping[str, int]
    best: str
    region: Region
    frames: Sequence[Frame]
    up: FloatArray
    scale: float
    provenance: Mapping[str, Any]
    license: str = ""
    georeference: Mapping[str, Any] | None = None
    mesh: Mapping[str, str] = field(default_factory=dict)
    ground: str = ""


def manifest(means: FloatArray, facts: Facts) -> dict[str, Any]:
    """Describe a scene.

    Args:
        means: Centres of the Gaussians, or points of what else there is to see, in the files'
            units, [N, 3].
    """
    up = facts.up / np.linalg.norm(facts.up)
    low, high = np.percentile(means, [1, 99], axis=0)
    middle = (low + high) / 2
    heights = means @ up
    ground, top = np.percentile(heights, [5, 99])
    on_ground = middle + (ground - middle @ up) * up
    eye = _EYE_SHARE * float(np.linalg.norm(high - low))
    along = _level_direction(up)
    splats = _splats(len(means), facts) if facts.files else {}
    return {
        "schema_version": SCHEMA_VERSION,
        **splats,
        "viewer_mode": "splat",
        "viewer_modes": ["topdown", "walk"],
        "scene_bounds": {
            "min": _list(low),
            "max": _list(high),
            "center": _list(middle),
            "size": _list(high - low),
            "ground_z": _number(np.percentile(means[:, 2], 5)),
        },
        "camera_defaults": {
            "position": _list(on_ground + 1.5 * (top - ground) * up),
            "look_at": _list(on_ground),
            "up": _list(along),
        },
        "walk_camera_defaults": {
            "position": _list(on_ground + eye * up),
            "look_at": _list(on_ground + eye * up + _AHEAD * eye * along),
            "up": _list(up),
        },
        "metadata": {
            "scene_scale": facts.scale,
            **({"splat_size_mb": round(_first_size(facts) / 1e6, 3)} if facts.files else {}),
            "source_images": len(facts.frames),
        },
        "mesh": {**facts.mesh, "scale": facts.scale} if facts.mesh else None,
        **({"collision_url": facts.ground} if facts.ground else {}),
        "up": _list(up),
        "ground_height": _number(ground),
        "region": _region(facts.region, facts.scale),
        "cameras": [_camera(frame, facts.scale) for frame in facts.frames],
        "georeference": None if facts.georeference is None else dict(facts.georeference),
        "provenance": {"statement": STATEMENT, **facts.provenance},
        "license": facts.license,
    }


def _splats(count: int, facts: Facts) -> dict[str, Any]:
    """The keys about splats."""
    return {
        "splat_url": facts.files[_first(facts)],
        "formats": dict(facts.files),
        "best_format": facts.best,
        "size_bytes": dict(facts.sizes),
        "splats": count,
    }


def _first(facts: Facts) -> str:
    return "splat" if "splat" in facts.files else next(iter(facts.files))


def _first_size(facts: Facts) -> int:
    return facts.sizes[_first(facts)]


def _level_direction(up: FloatArray) -> FloatArray:
    """A unit vector across `up`: the nearest to the world's +z, or +x where that is up."""
    axis = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    level: FloatArray = axis - (axis @ up) * up
    return level / np.linalg.norm(level)


def _region(region: Region, scale: float) -> dict[str, Any]:
    return {
        "sphere_center": _list(scale * region.middle),
        "sphere_radius": _number(scale * region.half_width),
        "aabb_range": [_list(scale * np.asarray(limits)) for limits in region.box],
    }


def _camera(frame: Frame, scale: float) -> dict[str, Any]:
    """A photo's camera, axes x right, y down, z forward."""
    lens = frame.intrinsics
    return {
        "name": frame.file_path,
        "position": _list(scale * frame.world_from_cam[:3, 3]),
        "rotation": [_list(row) for row in frame.world_from_cam[:3, :3]],
        "width": lens.width,
        "height": lens.height,
        "fl_x": _number(lens.fl_x),
        "fl_y": _number(lens.fl_y),
        "cx": _number(lens.cx),
        "cy": _number(lens.cy),
    }


def _list(values: FloatArray) -> list[float]:
    return [_number(value) for value in values]


def _number(value: Any) -> float:
    return float(f"{float(value):.7g}")
