"""The project's files that are no Python: job definitions, images, add-ons, pins; and its version.

A checkout has them in its root. A wheel carries them at the same places below `maquette/data/`,
where `python/setup.py` puts them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CARRIED = PACKAGE / "data"
IS_CHECKOUT = not CARRIED.is_dir()
ROOT = PACKAGE.parents[1] if IS_CHECKOUT else CARRIED


def version() -> str:
    """The version of what is installed, or of a checkout that is only on the path."""
    from importlib import metadata

    try:
        return metadata.version("maquette")
    except metadata.PackageNotFoundError:
        project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))
        return str(project["project"]["version"])
