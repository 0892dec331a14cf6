"""The tight region that maquette would choose, where the present one is much unlike it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from maquette.errors import MaquetteError
from maquette.scene import region_search
from maquette.scene.colmap_model import SparseModel
from maquette.scene.region import Region
from maquette.scene.workspace import scene_type_of
from maquette.viewer.editing import RegionEditor

Attempt = Callable[[Any, Callable[[], None]], None]

_LARGER = 1.5  # times as wide, either way
_ASIDE = 0.5  # of the larger half width, between the middles


def proposal(scene_type: str, model: SparseModel, present: Region) -> Region | None:
    """The tight automatic region, if it differs much from the present one and can be found."""
    try:
        tight = region_search.find(scene_type, model, tight=True).region
    except MaquetteError:
        return None
    return tight if differ(tight, present) else None


def differ(one: Region, other: Region) -> bool:
    """Whether two regions differ so much that a person would see it at once."""
    small, large = sorted((one.half_width, other.half_width))
    aside = float(np.linalg.norm(one.middle - other.middle))
    return large > _LARGER * small or aside > _ASIDE * large


class ProposalPanel:
    """Offers the tight region once, on top of the page, until it is taken or declined."""

    def __init__(self, gui: viser.GuiApi, editor: RegionEditor, attempt: Attempt) -> None:
        self._editor, self._looked = editor, threading.Lock()
        self._proposed: Region | None = None
        self._text = gui.add_markdown("", visible=False)
        self._take = gui.add_button("Take the tight region", color="blue", visible=False)
        self._leave = gui.add_button("Keep this one", color="gray", visible=False)
        self._take.on_click(lambda event: attempt(event, self._taken))
        self._leave.on_click(lambda _: self._decline())

    def look(self) -> None:
        """Look for one, at first sight of the page; later calls do nothing."""
        if self._looked.acquire(blocking=False):
            editor = self._editor
            scene_type = scene_type_of(editor.workspace.scene)
            self._proposed = proposal(scene_type, editor.model, editor.region)
            self.show()

    def show(self) -> None:
        """Bring it up to date with the region."""
        found, region = self._proposed, self._editor.region
        offered = found is not None and differ(found, region)
        if found is not None and offered:
            size = found.half_width / region.half_width
            inside = int(found.contains(self._editor.model.points).sum())
            self._text.content = (
                f"maquette would take a **region {size:.2g} times as wide**, "
                f"with {inside:,} points inside."
            )
        for part in (self._text, self._take, self._leave):
            part.visible = offered

    def _taken(self) -> None:
        if self._proposed is not None:
            self._editor.change(self._proposed)

    def _decline(self) -> None:
        self._proposed = None
        self.show()
