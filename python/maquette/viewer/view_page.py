"""`make view`: results in the browser, also while training goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
import viser
from numpy.typing import NDArray

from maquette.counting import counted
from maquette.errors import MaquetteError
from maquette.scene import colmap_model, georeference
from maquette.scene.color_space import linear_from_srgb
from maquette.scene.paths import Scene
from maquette.scene.region import FloatArray, Region
from maquette.viewer import results, scenery
from maquette.viewer.display import Display
from maquette.viewer.photos import PhotoPanel
from maquette.viewer.ply_points import read_points
from maquette.viewer.point_cloud import MOST_UNASKED, PointCloud
from maquette.viewer.scenery import RegionShapes
from maquette.viewer.screenshot import add_screenshot_button
from maquette.viewer.splats import SplatLayer

_POLL_S = 2.0
_MOST_POINTS = 100_000
_NO_MESH, _NO_RUN = "no mesh yet", "no run yet"
_NO_POINTS = "none"
_POINTS = (_NO_POINTS, "found by prepare")
_LATEST = "follow the newest"


class ViewPage:
    """Mesh, splats, cameras and photos in 3D; previews and figures of each run beside them."""

    def __init__(self, server: viser.ViserServer, scene: Scene) -> None:
        self.server, self.scene = server, scene
        cameras, region = results.cameras_and_region(scene)
        self.display = Display(region)
        self._points_drawn = _NO_POINTS
        self._drawn: tuple[Path, float] | None = None
        self._previewed: tuple[Path, float] | None = None
        self._lock = threading.RLock()
        scenery.set_up(server, cameras, self.display, georeference.read(scene.georeference).up)
        scenery.light(server)
        self.shapes = RegionShapes(server, region, self.display)
        server.gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        server.gui.main_panel.dock_right()
        server.gui.add_markdown(f"**{scene.name}** · {counted(len(cameras), 'camera')}")
        self._add_mesh_choice()
        self._add_runs()
        self._add_layers(region)
        self.splats = SplatLayer(server, scene, self.display)
        self.photos = PhotoPanel(server, cameras, self.display)
        add_screenshot_button(server, scene.name)
        self.refresh()

    def follow(self, stopped: threading.Event) -> None:
        """Bring the page up to date every two seconds until it is stopped."""
        while not stopped.wait(_POLL_S):
            self.refresh()

    def refresh(self) -> None:
        """Show meshes, runs and previews that are new since the last refresh."""
        with self._lock:
            meshes, runs = results.meshes(self.scene), results.runs(self.scene)
            _offer(self.mesh, list(meshes) or [_NO_MESH])
            _offer(self.points, [*_POINTS, *results.clouds(self.scene)])
            _offer(self.run, list(runs) or [_NO_RUN])
            run = runs.get(self.run.value)
            found = results.previews(run) if run else []
            _offer(self.iteration, [_LATEST, *(str(preview.iteration) for preview in found)])
            self.figures.content = (results.figures(run) if run else "") or "*no figures*"
            self._show_preview(found)
            self._show_mesh()
            self.splats.refresh()

    def _add_mesh_choice(self) -> None:
        self.mesh = self.server.gui.add_dropdown("mesh", (_NO_MESH,))
        self.mesh.on_update(self._chosen)
        self.remark = self.server.gui.add_markdown("")

    def _add_runs(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Training"):
            self.run = gui.add_dropdown("run", (_NO_RUN,))
            self.iteration = gui.add_dropdown("iteration", (_LATEST,))
            self.figures = gui.add_markdown("")
            blank = np.full((90, 270, 3), 235, np.uint8)
            self.preview = gui.add_image(blank, label="photo, rendering, normals", format="jpeg")
        for part in (self.run, self.iteration):
            part.on_update(self._chosen)

    def _add_layers(self, region: Region) -> None:
        gui = self.server.gui
        with gui.add_folder("Show"):
            mesh = gui.add_checkbox("mesh", True)
            self.points = gui.add_dropdown("points", _POINTS)
            self.points_remark = gui.add_markdown("")
            shapes = gui.add_checkbox("region", False)
        self._mesh_is_shown = mesh
        mesh.on_update(lambda _: self._show_mesh())
        shapes.on_update(lambda _: self.shapes.switch(shapes.value))
        self.points.on_update(lambda _: self._show_points(region))
        self.shapes.switch(False)

    def _chosen(self, event: Any) -> None:
        if event.client is not None:
            self.refresh()

    def _show_points(self, region: Region) -> None:
        """Send the chosen points, when they are others than the page has."""
        if self.points.value == self._points_drawn:
            return
        self._points_drawn = self.points.value
        self.server.scene.remove_by_name("/points")
        self.points_remark.content = ""
        if self.points.value == _NO_POINTS:
            return
        try:
            points, colors = self._read_points(self.points.value)
        except MaquetteError as error:
            self.points_remark.content = f"{error.what}."
            return
        cloud = PointCloud(self.server, self.display, points, colors)
        cloud.thin(_MOST_POINTS)
        cloud.draw(region)

    def _read_points(self, name: str) -> tuple[FloatArray, NDArray[np.uint8]]:
        """Points by the name under which they are offered, thinned out where there are many.

        Raises:
            BadInput: they are damaged.
        """
        path = results.clouds(self.scene).get(name)
        if path is not None:
            return read_points(path, MOST_UNASKED)
        model = colmap_model.read(self.scene.sparse)
        return model.points, model.colors

    def _show_mesh(self) -> None:
        """Send the chosen mesh, when it is another than the page has."""
        path = results.meshes(self.scene).get(self.mesh.value)
        if path is None or not self._mesh_is_shown.value:
            self.server.scene.remove_by_name("/mesh")
            self._drawn = None
            return
        wanted = (path, path.stat().st_mtime)
        if wanted == self._drawn:
            return
        self.remark.content = results.why_not_shown(path)
        if self.remark.content:
            self.server.scene.remove_by_name("/mesh")
            self._drawn = wanted
            return
        self.server.scene.remove_by_name("/mesh")
        for number, mesh in enumerate(results.read_parts(path)):
            _make_linear(mesh)
            _make_shine(mesh)
            mesh.vertices = self.display.points(mesh.vertices)
            self.server.scene.add_mesh_trimesh(
                f"/mesh/{number}", mesh, cast_shadow=False, receive_shadow=False
            )
        self._drawn = wanted

    def _show_preview(self, found: list[results.Preview]) -> None:
        chosen = [p for p in found if str(p.iteration) == self.iteration.value] or found[-1:]
        if not chosen:
            return
        path = chosen[0].path
        wanted = (path, path.stat().st_mtime)
        if wanted != self._previewed:
            self.preview.image = scenery.read_photo(path)
            self.preview.label = f"iteration {chosen[0].iteration}: photo, rendering, normals"
            self._previewed = wanted


def _make_linear(mesh: trimesh.Trimesh) -> None:
    """Turn a file's sRGB colours into linear light, as which trimesh hands them to browsers."""
    if mesh.visual.kind == "vertex":
        colors = mesh.visual.vertex_colors.copy()
        colors[:, :3] = np.round(255 * linear_from_srgb(colors[:, :3] / 255))
        mesh.visual.vertex_colors = colors


def _make_shine(mesh: trimesh.Trimesh) -> None:
    """Have a texture shine by itself: it holds the photos' light, which lamps would add to."""
    texture = getattr(getattr(mesh.visual, "material", None), "baseColorTexture", None)
    if texture is not None:
        mesh.visual.material = trimesh.visual.material.PBRMaterial(
            emissiveTexture=texture, emissiveFactor=[1.0, 1.0, 1.0], metallicFactor=0.0,
            baseColorFactor=[0, 0, 0, 255], roughnessFactor=1.0, doubleSided=True,
        )  # fmt: skip


def _offer(choice: Any, options: list[str]) -> None:
    """Renew a list to choose from without touching the choice, while it still stands."""
    if tuple(options) != tuple(choice.options):
        kept = choice.value if choice.value in options else options[0]
        choice.options = tuple(options)
        choice.value = kept
