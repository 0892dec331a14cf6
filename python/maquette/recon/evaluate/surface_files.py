"""Which file is the surface that a scene's pipeline made; reads none."""

from __future__ import annotations

from maquette.recon.evaluate.protocols import NotMeasured
from maquette.scene import outputs
from maquette.scene.outputs import Output
from maquette.scene.paths import Scene


def newest_surface(scene: Scene) -> Output:
    """The newest mesh, else the newest points; what a stage tells of counts before other files.

    A copy of fewer faces is another kind of result, and not measured.

    Raises:
        NotMeasured: there is neither.
    """
    kinds = (outputs.MESH, outputs.POINTS)
    found = [o for o in outputs.read(scene) if o.kind in kinds and o.path.endswith(".ply")]
    if not found:
        raise NotMeasured(f"{scene.pipeline} has made no mesh and no points yet: `make extract`")
    # A file that no stage tells of, such as an upstream program's, comes after those of stages.
    return max(enumerate(found), key=lambda item: (
        bool(item[1].stage), item[1].kind == outputs.MESH, item[0],
    ))[1]  # fmt: skip
