"""From where the page shows a scene first: as the contact sheet does, framed on the object.

Frame of what is returned: world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.mesh.upright import up_direction
from maquette.recon.pictures.capture import Cameras
from maquette.recon.pictures.contact_sheet import plan
from maquette.recon.pictures.viewpoints import DISTANCE, views_of
from maquette.recon.splats.camera_paths import sides
from maquette.scene.transforms import Transforms

_FOV_DEG = 45.0  # of a usual view; the contact sheet's are narrower, and stand farther away
_MARGIN = 1.08  # what lies near the eye grows as the eye comes nearer


@dataclass(frozen=True)
class StartView:
    """A camera that looks at what the capture is about.

    Attributes:
        fov_degrees: Vertical.
    """

    position: FloatArray
    look_at: FloatArray
    fov_degrees: float

    def as_json(self, scale: float = 1.0) -> dict[str, Any]:
        """The manifest's `start_view`, in a world `scale` times as large."""
        return {
            "position": [_number(scale * value) for value in self.position],
            "look_at": [_number(scale * value) for value in self.look_at],
            "fov_degrees": _number(self.fov_degrees),
        }


def of_mesh(mesh: TriangleMesh, read: Transforms) -> StartView:
    """The first view of a mesh's contact sheet, from a usual distance.

    Args:
        mesh: World units.
    """
    cameras = Cameras.of(read.frames, [frame.file_path for frame in read.frames])
    up = up_direction(read.frames, read.up)
    staged, viewpoints = plan(mesh, read.region, up, cameras)
    view = views_of(viewpoints[:1], staged.mesh.vertices[staged.subject], 1)[0]
    ahead = view.rotation @ np.array([0.0, view.shift, 1.0])
    eye, target = view.eye, view.eye + DISTANCE * ahead
    fov_deg = 2 * float(np.degrees(np.arctan(view.tangent)))
    if not viewpoints[0].tangent:  # no photo's own view: the eye may come nearer
        nearer = _MARGIN * view.tangent / np.tan(np.radians(_FOV_DEG / 2))
        eye, fov_deg = target - nearer * DISTANCE * ahead, _FOV_DEG

    def world(place: FloatArray) -> FloatArray:
        return staged.origin + staged.scale * (place @ staged.rotation)

    return StartView(world(eye), world(target), fov_deg)


def of_photos(read: Transforms) -> StartView:
    """The first view of the splats' contact sheet: from where it was filmed, at the region."""
    region = read.region
    frame = sides(read.frames, region, up_direction(read.frames, read.up))[0]
    eye, forward = frame.world_from_cam[:3, 3], frame.world_from_cam[:3, 2]
    ahead = float((np.asarray(region.center) - eye) @ forward)
    lens = frame.intrinsics
    fov_deg = 2 * float(np.degrees(np.arctan(lens.height / (2 * lens.fl_y))))
    return StartView(eye, eye + max(ahead, 0.1 * region.radius) * forward, fov_deg)


def _number(value: Any) -> float:
    return float(f"{float(value):.7g}")
