"""What Meshroom leaves in a scene, of the coloured ball of `texture_scene`, for tests.

Its world is the scene's turned, scaled and moved; its mesh files are turned by half a turn about x
against its cameras, as AliceVision writes them, or not.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.mesh.obj import write_obj
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.obj import write_textured_obj
from maquette.recon.texture.options import TexturingOptions
from maquette.recon.texture.texturing import texture_mesh
from maquette.scene import transforms
from maquette.scene.paths import Scene
from sparse_models import Sketch, write_workspace
from texture_scene import CENTER, ball, views_of

GROUP = "experiments"
FAR_AWAY = np.array([9.0, 0.0, 0.0])  # of something outside the region, scene units
THEIRS = Similarity(
    0.37, Rotation.from_rotvec([0.4, -1.1, 0.3]).as_matrix(), np.array([2.0, -3.0, 0.5])
)


def write_meshroom(scene: Scene, is_turned: bool = True, names: slice = slice(None)) -> Path:
    """Write `meshroom/<GROUP>/` and the scene's sparse model; returns the folder.

    Args:
        is_turned: Its mesh files are turned against its cameras.
        names: Of which photos it found the cameras.
    """
    frames = transforms.read(scene.transforms).frames
    surface = ball(3)
    points = surface.vertices[::7]
    poses = np.stack([frame.world_from_cam for frame in frames])
    write_workspace(scene.root, Sketch(poses, points, np.zeros((len(points), 3), np.uint8)),
                    photos=False)  # fmt: skip
    folder = scene.root / "meshroom" / GROUP
    both = _with_company(surface)
    for node in ("Meshing", "MeshFiltering"):
        path = folder / "cache" / node / "3f2a" / "mesh.obj"
        path.parent.mkdir(parents=True)
        write_obj(path, _theirs(both, is_turned), ())
    cameras = folder / "cache" / "SfMTransform" / "77c0" / "cameras.sfm"
    cameras.parent.mkdir(parents=True)
    cameras.write_text(json.dumps(_cameras(frames[names])))
    made = texture_mesh(surface, views_of(scene), TexturingOptions(size=512)).textured
    published = folder / "published" / "texturedMesh.obj"
    published.parent.mkdir()
    moved = TriangleMesh(_theirs(made.mesh, is_turned).vertices, made.mesh.faces)
    write_textured_obj(published, type(made)(
        moved, made.coordinates, made.corners, made.page_of_face, made.pages,
    ))  # fmt: skip
    return folder


def _with_company(mesh: TriangleMesh) -> TriangleMesh:
    other = ball(1)
    vertices = np.concatenate([mesh.vertices, other.vertices - CENTER + FAR_AWAY])
    return TriangleMesh(vertices, np.concatenate([mesh.faces, other.faces + len(mesh.vertices)]))


def _theirs(mesh: TriangleMesh, is_turned: bool) -> TriangleMesh:
    sign = np.array([1.0, -1.0, -1.0]) if is_turned else np.ones(3)
    return TriangleMesh(THEIRS.apply(mesh.vertices) * sign, mesh.faces)


def _cameras(frames: tuple[transforms.Frame, ...]) -> dict[str, object]:
    """A `.sfm` file's content; AliceVision writes numbers as text, and views without a pose too."""
    views: list[dict[str, str]] = [{"viewId": "1", "poseId": "1", "path": "/photos/lost.png"}]
    poses = []
    for number, frame in enumerate(frames, start=2):
        name = Path(frame.file_path).name
        views.append({"viewId": str(number), "poseId": str(number), "path": f"/photos/{name}"})
        center = [f"{value:.17g}" for value in THEIRS.apply(frame.world_from_cam[:3, 3])]
        transform = {"rotation": ["1", "0", "0", "0", "1", "0", "0", "0", "1"], "center": center}
        poses.append({"poseId": str(number), "pose": {"transform": transform, "locked": "0"}})
    return {"version": ["1", "2", "8"], "views": views, "poses": poses}
