"""Turn a video or a set of photos into a 3D model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from maquette.notebook import Page


def show(scene: str | Path, pipeline: str = "", height_px: int = 600) -> Page:
    """The page of a scene in a cell of a notebook (Jupyter, VS Code, Colab); see `notebook`."""
    from maquette.notebook import page_of

    return page_of(scene, pipeline, height_px)
