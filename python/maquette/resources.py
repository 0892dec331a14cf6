"""The project's files that are no Python: job definitions, images, add-ons, pins; and its version.

A checkout has them in its root. A wheel carries them at the same places below `maquette/data/`,
where `python/setup.py` puts them.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CARRIED = PACKAGE / "data"
IS_CHECKOUT = not CARRIED.is_dir()
ROOT = PACKAGE.parents[1] if IS_CHECKOUT else CARRIED


def version() -> str:
    """The version of what is installed; `python/pyproject.toml` is where it is set."""
    from importlib import metadata

    return metadata.version("maquette")
