"""Which files of a scene are published, within limits of size and quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maquette.errors import BadInput, NotFound
from maquette.pipelines.registry import get_pipeline
from maquette.quantities import size

MOST_LOST_DB = 1.0
_HEADROOM = 0.9  # of a limit, that advice aims at


def chosen(manifest: Mapping[str, Any], limit_bytes: int, *, best_only: bool) -> dict[str, Any]:
    """The manifest with those files alone that are to be published.

    Of splats the format that lost least, and the `.splat` that simple viewers read; of meshes one
    a pipeline; points where there is nothing else.

    Args:
        manifest: As the page's data names everything, with smaller copies where some were made.
        limit_bytes: The most that a file may take; 0: any.
        best_only: One format of splats.

    Raises:
        NotFound: there are no results.
        BadInput: nothing of a pipeline fits, or it lost more than 1 dB.
    """
    told = dict(manifest)
    told["meshes"] = _meshes(manifest, limit_bytes)
    if manifest.get("formats"):
        told |= _splats(manifest, limit_bytes, best_only=best_only)
    has_more = told["meshes"] or told.get("formats")
    dense = [one for one in manifest.get("points", ()) if one["pipeline"]]
    clouds = [one for one in dense if _fits(one["size_bytes"], limit_bytes)]
    told["points"] = [] if has_more else clouds
    if not (has_more or dense):
        raise NotFound(
            f"`{manifest['title']}` has no results to publish yet",
            hint=f"`make extract MODEL={manifest['title']}` makes them",
        )
    if not (has_more or clouds):
        raise BadInput(
            f"no points of `{manifest['title']}` fit into SIZE_LIMIT={size(limit_bytes)}",
            hint="a larger SIZE_LIMIT",
        )
    return told


def published_formats(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The formats that are one file; hundreds of them could have no private link."""
    return {name: address for name, address in manifest["formats"].items() if name != "lod"}


def good_formats(manifest: Mapping[str, Any], limit_bytes: int) -> list[str]:
    """The formats of splats that fit and lost no more than 1 dB."""
    lost = manifest.get("lost_db", {})
    return [
        name
        for name in published_formats(manifest)
        if _fits(manifest["size_bytes"][name], limit_bytes) and lost.get(name, 0.0) <= MOST_LOST_DB
    ]


def meshes_by_pipeline(manifest: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The meshes of each pipeline, the best first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for mesh in manifest.get("meshes", ()):
        found.setdefault(mesh["pipeline"], []).append(mesh)
    return found


def good_meshes(meshes: list[dict[str, Any]], limit_bytes: int) -> list[dict[str, Any]]:
    """Those that fit and lost no more than 1 dB."""
    return [
        mesh
        for mesh in meshes
        if _fits(mesh["size_bytes"], limit_bytes) and _lost(mesh) <= MOST_LOST_DB
    ]


def _lost(mesh: Mapping[str, Any]) -> float:
    return float(mesh.get("lost_db") or 0.0)


def _fits(size_bytes: int, limit_bytes: int) -> bool:
    return not limit_bytes or size_bytes <= limit_bytes


def _splats(
    manifest: Mapping[str, Any], limit_bytes: int, *, best_only: bool
) -> dict[str, Any]:  # fmt: skip
    formats, sizes = published_formats(manifest), manifest["size_bytes"]
    lost = {name: float(manifest.get("lost_db", {}).get(name, 0.0)) for name in formats}
    small = [name for name in formats if _fits(sizes[name], limit_bytes)]
    model = manifest["title"]
    if not small:
        least = min(formats, key=lambda name: sizes[name])
        raise BadInput(
            f"the smallest file of splats of `{model}` misses SIZE_LIMIT={size(limit_bytes)}",
            detail=f"`{formats[least]}` has {size(sizes[least])}",
            hint=_how_to_shrink(manifest, manifest["splat_pipeline"], "splats", 0, limit_bytes),
        )
    good = good_formats(manifest, limit_bytes)
    if not good:
        nearest = min(small, key=lambda name: lost[name])
        raise BadInput(
            f"`{formats[nearest]}` shows the photos {lost[nearest]:.1f} dB worse than the master; "
            f"more than {MOST_LOST_DB:g} dB is not published",
            hint=f"a larger SIZE_LIMIT; or fewer splats, which need less room: {_fewer(manifest)}",
        )
    wanted = manifest["best_format"]
    best = wanted if wanted in good else min(good, key=lambda name: lost[name])
    kept = {best} | (set() if best_only else {"splat"} & set(good))
    return {
        "formats": {name: formats[name] for name in formats if name in kept},
        "size_bytes": {name: sizes[name] for name in formats if name in kept},
        "best_format": best,
        "splat_url": formats["splat" if "splat" in kept else best],
    }


def _fewer(manifest: Mapping[str, Any]) -> str:
    """The command that trains fewer splats, as the pipeline tells it."""
    pipeline = manifest["splat_pipeline"]
    setting = get_pipeline(pipeline).steps["process"].smaller
    return f"`make process MODEL={manifest['title']} PIPELINE={pipeline} {setting}`"


def _extract(manifest: Mapping[str, Any], pipeline: str) -> str:
    return f"make extract MODEL={manifest['title']} PIPELINE={pipeline}"


def _how_to_shrink(
    manifest: Mapping[str, Any], pipeline: str, kind: str, count: int, limit_bytes: int
) -> str:
    """The command that makes a result smaller, as the pipeline tells it."""
    words = get_pipeline(pipeline).smaller.get(kind, "")
    if not words:
        return "a larger SIZE_LIMIT"
    told = words.format(count=count, limit=f"{limit_bytes / 1e6:g}MB")
    return f"`{_extract(manifest, pipeline)} {told}` makes a smaller one"


def _meshes(manifest: Mapping[str, Any], limit_bytes: int) -> list[dict[str, Any]]:
    by_pipeline = meshes_by_pipeline(manifest)
    return [_mesh(manifest, name, found, limit_bytes) for name, found in by_pipeline.items()]


def _mesh(
    manifest: Mapping[str, Any], pipeline: str, meshes: list[dict[str, Any]], limit_bytes: int
) -> dict[str, Any]:
    """The first mesh of a pipeline that fits.

    Raises:
        BadInput: none does.
    """
    if good := good_meshes(meshes, limit_bytes):
        return good[0]
    small = [mesh for mesh in meshes if _fits(mesh["size_bytes"], limit_bytes)]
    if small:
        raise BadInput(
            f"`{small[0]['url']}` shows the photos {_lost(small[0]):.1f} dB worse than the mesh "
            f"that it was made of; more than {MOST_LOST_DB:g} dB is not published",
            hint="a larger SIZE_LIMIT; or publish another pipeline's result: PIPELINE=",
        )
    least = min(meshes, key=lambda mesh: mesh["size_bytes"])
    share = _HEADROOM * limit_bytes / least["size_bytes"]
    count = max(1000, int(least["faces"] * share))
    helps = _how_to_shrink(manifest, pipeline, "mesh", count, limit_bytes)
    raise BadInput(
        f"the smallest mesh of `{manifest['title']}` misses SIZE_LIMIT={size(limit_bytes)}",
        detail=f"`{least['url']}` has {size(least['size_bytes'])}",
        hint=f"{helps}; or publish another pipeline's result: PIPELINE=",
    )
