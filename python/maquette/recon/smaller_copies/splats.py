"""Splats that fit: fewer of them, of a lower degree of colour, as `export` makes them."""

from __future__ import annotations

import math
from pathlib import Path

from maquette.recon.mesh.upright import up_direction
from maquette.recon.smaller_copies.copy import Copy, Request
from maquette.recon.splats.exporting import export, formats
from maquette.recon.splats.importance import importance_in
from maquette.recon.splats.quality import Quality, judges
from maquette.recon.splats.trained import read_trained
from maquette.scene import transforms
from maquette.scene.paths import Scene

FORMAT = "sog"  # the smallest for what it shows
SUFFIX = f".{FORMAT}"


def smaller_splats(scene: Scene, request: Request, target: Path) -> Copy:
    """Write splats in at most so many bytes.

    Raises:
        BadInput: not even a thousandth of them fits.
    """
    whole = read_trained(scene.root / request.source).gaussians
    cameras = transforms.read(scene.transforms)
    form = formats(up_direction(cameras.frames, cameras.up), scene.name, 0)[FORMAT]
    made = export(
        target, whole, form, Quality(scene, judges(cameras.frames), whole).lost_db,
        limit_bytes=request.limit_bytes, worth=importance_in(whole, cameras.frames),
        scale=request.scale,
    )  # fmt: skip
    share = f"{made.splats / len(whole):.0%} of the splats"
    if made.degree < whole.degree:
        share += f", colours of degree {made.degree} in place of {whole.degree}"
    lost = None if math.isnan(made.lost_db) else round(made.lost_db, 3)
    facts = {"splats": made.splats, "degree": made.degree}
    return Copy(request, scene.relative(target), made.size_bytes, lost, share, facts)
