"""The page of a scene in a cell of a notebook: one file inside the cell, no server and no port."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

from maquette.errors import NotFound

LEAST_HEIGHT_PX = 200


@dataclass(frozen=True)
class Page:
    """What a notebook shows as a frame; `write` keeps it as a file."""

    title: str
    content: bytes = field(repr=False)
    height_px: int

    def _repr_html_(self) -> str:
        """The frame, as notebooks ask for it."""
        held = html.escape(self.content.decode(), quote=True)
        style = f"width: 100%; height: {self.height_px}px; border: 0; border-radius: 12px"
        return (
            f'<iframe srcdoc="{held}" title="{html.escape(self.title, quote=True)}" '
            f'style="{style}" allow="fullscreen"></iframe>'
        )

    def write(self, path: str | Path) -> Path:
        """Write the page as one HTML file that opens by a double click."""
        target = Path(path)
        target.write_bytes(self.content)
        return target


def page_of(scene: str | Path, pipeline: str = "", height_px: int = 600) -> Page:
    """Make the page of a scene.

    Args:
        scene: Its folder, as `scenes/owl`.
        pipeline: Whose results; "" for those of all.
        height_px: Of the frame.

    Raises:
        NotFound: there is no such scene, or it has no results.
        BadInput: not even smaller copies fit into 25 MB; one pipeline alone may.
    """
    from functools import partial

    from maquette.publishing.fitting import site_of
    from maquette.publishing.single_file import everything_in_one
    from maquette.scene.paths import Scene
    from maquette.viewer import notes, page_data, web_build

    root = Path(scene).expanduser().resolve()
    if not root.is_dir():
        raise NotFound(f"there is no scene at `{scene}`", hint='maquette.show("scenes/owl")')
    shown = Scene(root)
    told = page_data.renewed(shown, [pipeline] if pipeline else [])
    told["annotations"] = notes.read(shown)
    copies = partial(page_data.smaller_copies, shown)
    fitted = site_of(shown, told, web_build.build(), 0, copies, in_one_file=True)
    return Page(root.name, everything_in_one(fitted.site), max(height_px, LEAST_HEIGHT_PX))
