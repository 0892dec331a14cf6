"""`make adjust` in the browser: set sphere and box by dragging, by numbers, by fits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

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
from maquette.viewer.legend import for_phones, legend, page_title
from maquette.viewer.photos import PhotoPanel
from maquette.viewer.picture import redraw
from maquette.viewer.point_cloud import BrowserWindow, PointBudget, PointCloud
from maquette.viewer.proposing import ProposalPanel
from maquette.viewer.region_numbers import RegionNumbers
from maquette.viewer.scenery import Camera, RegionShapes
from maquette.viewer.screenshot import add_screenshot_button, view_of
from maquette.viewer.selecting import TOOLS, Selection

ButtonGroup = Any  # viser has no public name for a group of buttons
FIT_SCREEN = "Fit to what is on the screen"


class AdjustPage:
    """The page of one scene; all windows on this server show the same state."""

    def __init__(self, server: viser.ViserServer, opened: Workspace) -> None:
        self.server, self.editor = server, RegionEditor(opened)
        self.display = Display(opened.region)
        self.cameras = cameras_of(opened)
        self._update_lock = threading.RLock()
        place = georeference.read(opened.scene.georeference)
        scenery.set_up(server, self.cameras, self.display, place.up)
        gui = server.gui
        gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        gui.set_panel_label(f"Region of {opened.scene.name}")
        gui.main_panel.dock_right()
        self.shapes = RegionShapes(server, opened.region, self.display)
        self.cloud = PointCloud(server, self.display, opened.model.points, opened.model.colors)
        self.selection = Selection(
            server, self.display, self.cloud, opened.model.points, self._show_selection
        )
        gui.add_html(page_title(f"Region of {opened.scene.name}") + for_phones() + legend())
        self.status = gui.add_markdown("")
        self._add_keeping()
        self.proposal = ProposalPanel(gui, self.editor, self._attempt)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Region"):
            self._add_fits()
            self._add_numbers()
        with tabs.add_tab("Show"):
            self._add_display()
            self.photos = PhotoPanel(server, self.cameras, self.display)
            add_screenshot_button(server, opened.scene.name)
        self.handles = Handles(server, self.display, self.editor, self.cloud, self.shape.value)
        self.editor.listeners.append(self.show)
        self.cloud.draw(self.editor.region)
        self.show()
        for remark in opened.remarks:
            gui.add_markdown(f"⚠ {remark}")
        server.on_client_connect(self._complete)

    def _complete(self, client: viser.ClientHandle) -> None:
        """Add what takes longer, when a new window has drawn the rest."""
        window = BrowserWindow(self.server, client)
        if window.wait_until_drawn():
            self.handles.appear()
            self.proposal.look()
            self.budget.find(window)

    def show(self) -> None:
        """Bring numbers, shapes and counts up to date with the region."""
        with self._update_lock:
            region = self.editor.region
            self.numbers.show(region)
            self.shapes.show(region)
            self.handles.follow()
            self.proposal.show()
            self.status.content = self._status()
            saved = self.editor.is_saved
            self.save.disabled, self.save.color = saved, "gray" if saved else "green"
            self.back.visible = self.editor.can_undo or not saved

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
        gui = self.server.gui
        with gui.add_folder("Numbers (world units)"):
            self.numbers = RegionNumbers(gui, self.editor, self._attempt)
            self.shape = gui.add_dropdown(
                "handles", ("sphere", "box", "nothing"), hint="what can be dragged"
            )
        self.shape.on_update(lambda _: self.handles.choose(self.shape.value))

    def _add_fits(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Fit"):
            tool = gui.add_dropdown("dragging", TOOLS, hint="boxes and lassos select points")
            tool.on_update(lambda _: self.selection.use(tool.value))
            self.fit = gui.add_button("", hint="outliers are left out", color="blue")
            self.fit.on_click(lambda event: self._attempt(event, lambda: self._fit(event)))
            self.clear = gui.add_button("Clear the selection", color="gray")
            self.clear.on_click(lambda _: self.selection.clear())
            self._group("region", {
                "Automatic": self.editor.fit_automatically,
                "Through cameras": self.editor.fit_cameras,
            })  # fmt: skip
            self._group("match", {
                "Box to sphere": self.editor.fit_box_to_sphere,
                "Sphere to box": self.editor.fit_sphere_to_box,
            })  # fmt: skip
        self._show_selection()

    def _show_selection(self) -> None:
        count = self.selection.count
        self.fit.label = f"Fit to {counted(count, 'selected point')}" if count else FIT_SCREEN
        self.clear.visible = count > 0

    def _fit(self, event: Any) -> None:
        chosen = self.selection.chosen
        if not chosen.any():
            view = view_of(event.client.camera, self.display)
            chosen = self.cloud.visible & in_view(self.editor.model.points, view)
        self.editor.fit_points(chosen)

    def _add_keeping(self) -> None:
        gui = self.server.gui
        self.save = gui.add_button("Save")
        self.save.on_click(lambda event: self._attempt(event, lambda: self._save(event)))
        self.back = self._group("go back", {"Undo": self.editor.undo, "Reset": self.editor.reset})

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

    def _group(self, label: str, acts: dict[str, Callable[[], None]]) -> ButtonGroup:
        group = self.server.gui.add_button_group(label, tuple(acts))
        group.on_click(lambda event: self._attempt(event, acts[event.target.value]))
        return group

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
