"""A site within limits: what is too large is published as a smaller copy, which the site alone has.

The data plane makes the copies; the scene's results stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.publishing import single_file
from maquette.publishing.choosing import chosen, good_formats, good_meshes, meshes_by_pipeline
from maquette.publishing.site import Site, compose
from maquette.quantities import size
from maquette.scene.paths import Scene

Request = dict[str, Any]  # as maquette.recon.smaller_copies takes it
Copy = Mapping[str, Any]  # and what it answers
Make = Callable[[Sequence[Request]], Sequence[Copy]]
_MASTER = "ply"


@dataclass(frozen=True)
class Cost:
    """What a copy cost.

    Attributes:
        share: What it has of what was there, in words.
        lost_db: By which it shows the photos worse; None where that was not measured.
    """

    what: str
    before_bytes: int
    after_bytes: int
    share: str
    lost_db: float | None

    def __str__(self) -> str:
        lost = "" if self.lost_db is None else f"; {max(self.lost_db, 0.0):.2f} dB worse"
        sizes = f"{size(self.before_bytes)} made {size(self.after_bytes)}"
        return f"{self.what}: {sizes}, {self.share}{lost}"


@dataclass(frozen=True)
class Fitted:
    """A site, and what it cost to make it fit."""

    site: Site
    costs: tuple[Cost, ...]


def site_of(
    scene: Scene, manifest: Mapping[str, Any], page: Path, limit_bytes: int, make: Make,
    *, in_one_file: bool = False,
) -> Fitted:  # fmt: skip
    """Compose the site of a scene.

    Args:
        manifest: As the page's data names everything.
        page: The folder of the built web page.
        limit_bytes: The most that a file may take; 0: any.
        make: Makes smaller copies.
        in_one_file: All of it has to fit into one HTML file.

    Raises:
        NotFound: there are no results.
        BadInput: something does not fit, or would lose more than 1 dB.
    """
    manifest = _without_large_ground(scene, manifest, limit_bytes)
    told, costs = _within(manifest, limit_bytes, make, best_only=in_one_file)
    site = compose(scene, told, page)
    if in_one_file and (share := single_file.share_of_each(site)):
        try:
            told, costs = _within(manifest, share, make, best_only=True)
        except BadInput as error:
            raise BadInput(
                f"one file with all of `{manifest['title']}` would have more than "
                f"{size(single_file.MOST_BYTES)}: each part may take {size(share)}",
                detail=f"{error.what}\n{error.detail}".strip(),
                hint=f"PIPELINE= publishes one result alone; {error.hint}",
            ) from error
        site = compose(scene, told, page)
    return Fitted(site, tuple(costs))


def _without_large_ground(
    scene: Scene, manifest: Mapping[str, Any], limit_bytes: int
) -> Mapping[str, Any]:
    """Without a mesh to walk on that does not fit: the page walks on the first mesh then."""
    ground = manifest.get("collision_url", "")
    if not (ground and limit_bytes) or (scene.root / ground).stat().st_size <= limit_bytes:
        return manifest
    return {key: value for key, value in manifest.items() if key != "collision_url"}


def _within(
    manifest: Mapping[str, Any], limit_bytes: int, make: Make, *, best_only: bool
) -> tuple[dict[str, Any], list[Cost]]:
    wanted = _wanted(manifest, limit_bytes) if limit_bytes else []
    copies = [copy for copy in make(wanted) if copy["url"]] if wanted else []
    told, costs = dict(manifest), []
    for copy in copies:
        costs.append(_put(told, copy))
    return chosen(told, limit_bytes, best_only=best_only), costs


def _wanted(manifest: Mapping[str, Any], limit_bytes: int) -> list[Request]:
    """A request for each kind of result and pipeline of which no file may be published."""
    wanted: list[Request] = []
    if _MASTER in manifest.get("formats", {}) and not good_formats(manifest, limit_bytes):
        wanted.append({
            "kind": "splats", "pipeline": manifest["splat_pipeline"],
            "source": manifest["formats"][_MASTER], "limit_bytes": limit_bytes,
            "scale": manifest.get("metadata", {}).get("scene_scale", 1.0),
        })  # fmt: skip
    for pipeline, meshes in meshes_by_pipeline(manifest).items():
        if not good_meshes(meshes, limit_bytes):
            wanted.append({
                "kind": "mesh", "pipeline": pipeline, "source": meshes[0]["url"],
                "limit_bytes": limit_bytes, "is_placed": "scene_from_gltf" in meshes[0],
            })  # fmt: skip
    return wanted


def _put(told: dict[str, Any], copy: Copy) -> Cost:
    """Name a copy in a manifest in place of what it was made of; returns what it cost."""
    request, pipeline = copy["request"], copy["request"]["pipeline"]
    measures = {"size_bytes": copy["size_bytes"], "lost_db": copy["lost_db"]}
    if request["kind"] == "splats":
        before, what = told["size_bytes"][told["best_format"]], "splats"
        form = copy["url"].rpartition(".")[2]
        told["formats"] = {form: copy["url"]}
        told["size_bytes"] = {form: copy["size_bytes"]}
        told["lost_db"] = {form: copy["lost_db"] or 0.0}
        told |= {"best_format": form, "splat_url": copy["url"], "splats": copy["facts"]["splats"]}
    else:
        whole = meshes_by_pipeline(told)[pipeline][0]
        before, what = whole["size_bytes"], f"mesh of {pipeline}"
        made = {**whole, **copy["facts"], **measures, "url": copy["url"], "reduced": True}
        told["meshes"] = [made if mesh is whole else mesh for mesh in told["meshes"]]
    return Cost(what, before, copy["size_bytes"], copy["share"], copy["lost_db"])
