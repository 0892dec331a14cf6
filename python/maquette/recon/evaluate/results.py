"""What a scene's pipeline made that has a surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maquette.recon.evaluate.surface_files import newest_surface
from maquette.recon.evaluate.surfaces import Shape
from maquette.recon.geometry.points import read_points
from maquette.recon.mesh.reading import read_mesh
from maquette.scene import stage_records
from maquette.scene.paths import Scene

_HEADER_LINES = 200


@dataclass(frozen=True)
class Result:
    """A mesh or points.

    Attributes:
        path: Where it lies.
        stage: Who made it; "" when that is not known.
    """

    path: Path
    stage: str

    def read(self) -> Shape:
        """Its surface, in the scene's world.

        Raises:
            BadInput: the file is damaged.
        """
        return read_mesh(self.path) if has_faces(self.path) else read_points(self.path)

    def iteration(self, scene: Scene) -> int | None:
        """How long the model was trained that it was made from, where that is known."""
        record = stage_records.read(scene, self.stage)
        return record.numbers.get("iteration") if record else None


def find_surface(scene: Scene) -> Result:
    """The newest mesh, else the newest points.

    Raises:
        NotMeasured: there is neither.
    """
    best = newest_surface(scene)
    return Result(scene.root / best.path, best.stage)


def has_faces(path: Path) -> bool:
    """Whether a file is a mesh: every one but a PLY file that tells of no faces."""
    with open(path, "rb") as file:
        if file.readline().strip() != b"ply":
            return True
        for _ in range(_HEADER_LINES):
            words = file.readline().split()
            if words[:2] == [b"element", b"face"]:
                return words[2:] != [b"0"]
            if not words or words == [b"end_header"]:
                break
    return False
