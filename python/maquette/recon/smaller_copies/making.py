"""All copies that were asked for, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maquette.recon.smaller_copies import meshes, splats
from maquette.recon.smaller_copies.copy import Copy, Request, kept_or_made
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

_MAKERS = {
    "splats": (splats.SUFFIX, splats.smaller_splats),
    "mesh": (meshes.SUFFIX, meshes.smaller_mesh),
}


def make(scene: Scene, wanted: Sequence[Mapping[str, Any]], progress: Progress) -> list[Copy]:
    """Make copies below `.maquette/copies/`; those of earlier that are still right stay."""
    copies = []
    for number, one in enumerate(wanted):
        progress.step("smaller copies", number, len(wanted))
        request = Request(**one)
        suffix, maker = _MAKERS[request.kind]
        copies.append(kept_or_made(scene, request, suffix, maker))
    progress.step("smaller copies", len(wanted), len(wanted))
    return copies
