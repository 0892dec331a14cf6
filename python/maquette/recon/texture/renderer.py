"""A textured mesh as cameras see it, for evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.mesh.ray_casting import Hits, RayScene
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.texture.gltf import read_textured_glb
from maquette.recon.texture.projection import sample
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


class TexturedRenderer:
    """Draws a textured mesh, world units; its surface is lit by nothing but its texture."""

    iteration: int | None = None

    def __init__(self, textured: TexturedMesh) -> None:
        self._textured, mesh = textured, textured.mesh
        self._middle = mesh.vertices.mean(axis=0).astype(np.float64)
        self._scale = 1.0 / max(float(mesh.extent.max(initial=0.0)), 1e-12)
        unit = ((mesh.vertices - self._middle) * self._scale).astype(np.float32)
        self._rays = RayScene(TriangleMesh(unit, mesh.faces))

    def render(self, frame: Frame) -> NDArray[np.float32]:
        """What the camera of a frame sees, [H, W, 3] sRGB 0..1; NaN where there is no mesh."""
        lens = frame.intrinsics
        hits = self._first_hits(frame)
        picture = np.full((lens.height * lens.width, 3), np.nan, np.float32)
        picture[hits.ray] = self._colors(hits) / 255
        return picture.reshape(lens.height, lens.width, 3)

    def _first_hits(self, frame: Frame) -> Hits:
        lens, pose = frame.intrinsics, frame.world_from_cam
        local = np.ones((lens.height, lens.width, 3), np.float32)
        local[..., 0] = (np.arange(lens.width) + 0.5 - lens.cx) / lens.fl_x
        local[..., 1] = ((np.arange(lens.height) + 0.5 - lens.cy) / lens.fl_y)[:, None]
        directions: FloatArray = local.reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
        eye = ((pose[:3, 3] - self._middle) * self._scale).astype(np.float32)
        return self._rays.first_hits(np.broadcast_to(eye, directions.shape), directions)

    def _colors(self, hits: Hits) -> NDArray[np.float32]:
        """Colours [N, 3] of the texture at hits, 0..255."""
        textured = self._textured
        corners = textured.coordinates[textured.corners[hits.face]]  # [N, 3, 2]
        places = np.einsum("nk,nki->ni", hits.weights, corners)
        colors, page = np.empty((len(places), 3), np.float32), textured.page_of_face[hits.face]
        for number, picture in enumerate(textured.pages):
            some = page == number
            size = np.array(picture.shape[1::-1], np.float32)
            colors[some] = sample(picture, places[some] * size)
        return colors


def open_renderer(scene: Scene, group: str) -> TexturedRenderer:
    """Open the textured mesh of a scene's pipeline.

    Raises:
        NotMeasured: there is none.
        BadInput: it is damaged.
    """
    path = scene.results / f"{scene.name}.glb"
    if not path.is_file():
        raise NotMeasured(f"{scene.pipeline} has made no textured mesh yet: `make extract`")
    return TexturedRenderer(read_textured_glb(path))
