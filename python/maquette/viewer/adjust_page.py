"""`make adjust` in the browser: set sphere and box by dragging, by numbers, by fits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from maquette.counting import counted
from maquette.errors import MaquetteError, from_os_error
from maquette.scene import georeference
from maquette.scene.region_file import ChangedMeanwhile
from maquette.scene.stale_runs import rerun_advice
from maquette.scene.workspace import Workspace
from maquette.viewer import point_cloud, scenery
from maquette.viewer.display import Display
from maquette.viewer.editing import RegionEditor, in_view
from maquette.viewer.handles import Handles
from maquette.viewer.photos import PhotoPanel
from maquette.viewer.picture import redraw
from maquette.viewer.point_cloud import BrowserWindow, PointBudget, PointCloud
from maquette.viewer.scenery import Camera, RegionShapes
from maquette.viewer.screenshot import add_screenshot_button, view_of

Button = viser.GuiButtonHandle


class AdjustPage:
    """The page of one scene; all windows on this server show the same state."""

    def __init__(self, server: viser.ViserServer, opened: Workspace) -> None:
        self.server, self.editor = server, RegionEditor(opened)
        self.display = Display(opened.region)
        self.cameras = cameras_of(opened)
        self._update_lock = threading.RLock()
        place = georeference.read(opened.scene.georeference)
        scenery.set_up(server, self.cameras, self.display, place.up)
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        server.gui.main_panel.dock_right()
        self.shapes = RegionShapes(server, opened.region, self.display)
        self.cloud = PointCloud(server, self.display, opened.model.points, opened.model.colors)
        self.status = server.gui.add_markdown("")
        self._add_numbers()
        self._add_fits()
        self._add_saving()
        self._add_display()
        self.photos = PhotoPanel(server, self.cameras, self.display)
        add_screenshot_button(server, opened.scene.name)
        self.handles = Handles(server, self.display, self.editor, self.cloud, self.shape.value)
        self.editor.listeners.append(self.show)
        self.cloud.draw(self.editor.region)
        self.show()
        for remark in opened.remarks:
            server.gui.add_markdown(f"⚠ {remark}")
        server.on_client_connect(self._complete)

    def _complete(self, client: viser.ClientHandle) -> None:
        """Add what takes longer, when a new window has drawn the rest."""
        window = BrowserWindow(self.server, client)
        if window.wait_until_drawn():
            self.handles.appear()
            self.budget.find(window)

    def show(self) -> None:
        """Bring numbers, shapes and counts up to date with the region."""
        with self._update_lock:
            region = self.editor.region
            box = np.asarray(region.box)
            self.center.value, self.radius.value = region.center, region.radius
            self.low.value, self.high.value = tuple(box[:, 0]), tuple(box[:, 1])
            self.shapes.show(region)
            self.handles.follow()
            self.status.content = self._status()

    def _status(self) -> str:
        inside, before, total = self.editor.counts()
        saved = "nothing is saved yet" if before is None else f"{before:,} in the saved region"
        state = "saved" if self.editor.is_saved else "**not saved**"
        cameras = counted(len(self.cameras), "camera")
        return (
            f"**{self.editor.workspace.scene.name}** · {cameras} · {state}\n\n"
            f"**{inside:,}** of {total:,} points inside ({saved})"
        )

    def _add_numbers(self) -> None:
        gui, region = self.server.gui, self.editor.region
        step = 10.0 ** np.floor(np.log10(region.radius) - 2)
        box = np.asarray(region.box)
        with gui.add_folder("Region (world units)"):
            self.center = gui.add_vector3("centre", region.center, step=step)
            self.radius = gui.add_number("radius", region.radius, min=step / 1e3, step=step)
            self.low = gui.add_vector3("box min", tuple(box[:, 0]), step=step)
            self.high = gui.add_vector3("box max", tuple(box[:, 1]), step=step)
            self.shape = gui.add_dropdown(
                "drag", ("sphere", "box", "nothing"), hint="which handles to show"
            )
        for part in (self.center, self.radius):
            part.on_update(lambda event: self._typed(event, self._take_sphere))
        for part in (self.low, self.high):
            part.on_update(lambda event: self._typed(event, self._take_box))
        self.shape.on_update(lambda _: self.handles.choose(self.shape.value))

    def _take_sphere(self) -> None:
        self.editor.set_sphere(self.center.value, self.radius.value)

    def _take_box(self) -> None:
        self.editor.set_box(self.low.value, self.high.value)

    def _typed(self, event: Any, take: Callable[[], None]) -> None:
        if event.client is not None:  # the program's own updates come without a client
            self._attempt(event, take)

    def _add_fits(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Fit"):
            visible = gui.add_button("Fit to visible points", hint="those that this window shows")
            visible.on_click(lambda event: self._attempt(event, lambda: self._fit_visible(event)))
            for label, act in (
                ("Fit to cameras", self.editor.fit_cameras),
                ("Automatic", self.editor.fit_automatically),
                ("Box around sphere", self.editor.fit_box_to_sphere),
                ("Sphere around box", self.editor.fit_sphere_to_box),
            ):
                self._button(label, act)

    def _fit_visible(self, event: Any) -> None:
        view = view_of(event.client.camera, self.display)
        points = self.editor.model.points
        self.editor.fit_points(self.cloud.visible & in_view(points, view))

    def _add_saving(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Keep"):
            save = gui.add_button("Save", color="blue")
            save.on_click(lambda event: self._attempt(event, lambda: self._save(event)))
            self._button("Undo", self.editor.undo)
            self._button("Reset", self.editor.reset, "back to the saved region")

    def _add_display(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Display"):
            size = gui.add_slider("point size", 0.001, 0.03, 0.001, self.cloud.size)
            hide = gui.add_checkbox("hide points outside", False)
            self._add_thinning()

        def redraw_points(_: Any) -> None:
            self.cloud.size, self.cloud.hides_outside = size.value, hide.value
            self.cloud.draw(self.editor.region)

        for part in (size, hide):
            part.on_update(redraw_points)

    def _add_thinning(self) -> None:
        """How many points are drawn; it goes up by itself in a window that draws quickly."""
        counts = [f"{count:,}" for count in self.cloud.steps()]
        drawn = self.server.gui.add_dropdown(
            "points drawn", counts, visible=len(counts) > 1,
            hint=f"of {len(self.editor.model.points):,}; counts and fits always use all",
        )  # fmt: skip

        def take(step: int) -> None:
            drawn.value = counts[step]

        unasked = sum(count <= point_cloud.MOST_UNASKED for count in self.cloud.steps())
        self.budget = PointBudget(unasked, take)

        def redraw_points(event: Any) -> None:
            if event.client is not None:
                self.budget.stop()
            self.cloud.thin(self.cloud.steps()[counts.index(drawn.value)])
            self.cloud.draw(self.editor.region)

        drawn.on_update(redraw_points)

    def _button(self, label: str, act: Callable[[], None], hint: str | None = None) -> None:
        button = self.server.gui.add_button(label, hint=hint)
        button.on_click(lambda event: self._attempt(event, act))

    def _attempt(self, event: Any, act: Callable[[], None]) -> None:
        """Do what was asked; say in that window why it could not be done."""
        try:
            act()
        except ChangedMeanwhile as error:
            self._ask_to_overwrite(event.client, error)
        except MaquetteError as error:
            show_error(event.client, error)
            self.show()
        except OSError as error:
            show_error(event.client, from_os_error(error, "saving the region"))
        else:
            self.cloud.draw(self.editor.region)

    def _save(self, event: Any, *, over_others: bool = False) -> None:
        self.editor.save(over_others=over_others)
        opened = self.editor.workspace
        again = rerun_advice(opened.scene, opened.region)
        body = "\n".join(again) or f"transforms.json of {opened.scene.name} holds it now."
        event.client.add_notification("Saved", body, color="green", auto_close_seconds=10.0)
        if remark := redraw(opened.scene):
            event.client.add_notification("Saved", remark, color="yellow", auto_close_seconds=10.0)

    def _ask_to_overwrite(self, client: Any, error: ChangedMeanwhile) -> None:
        with client.gui.add_modal("The region was changed meanwhile") as modal:
            client.gui.add_markdown(f"{error.what}.\n\n{error.detail}\n\nNothing was written.")
            load = client.gui.add_button("Load the other region")
            over = client.gui.add_button("Save mine over it", color="red")
            leave = client.gui.add_button("Leave it")
        leave.on_click(lambda _: modal.close())

        def act(event: Any, work: Callable[[], None]) -> None:
            modal.close()
            self._attempt(event, work)

        load.on_click(lambda event: act(event, self.editor.reset))
        over.on_click(lambda event: act(event, lambda: self._save(event, over_others=True)))


def cameras_of(opened: Workspace) -> list[Camera]:
    """The cameras of a workspace as a page shows them."""
    model = opened.model
    return [
        Camera(name, opened.photo(name), pose, lens.pinhole())
        for name, pose, lens in zip(model.names, model.world_from_cam, model.lenses, strict=True)
    ]


def show_error(client: Any, error: MaquetteError) -> None:
    """Show an error in a window: what, where, and what helps."""
    body = "\n".join(part for part in (error.detail, error.hint) if part)
    client.add_notification(error.what, body, color="red")
