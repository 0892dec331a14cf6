"""Where the built web page lies: a folder of static files that any server can hand out.

`index.html?manifest=ADDRESS` shows what a manifest names (docs/manifest.md). A wheel carries the
page; in a checkout `maquette.viewer.web_build` builds it once, into a folder that git ignores.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from maquette.errors import ConfigError
from maquette.resources import IS_CHECKOUT, PACKAGE, ROOT

SOURCES = PACKAGE / "viewer" / "web"
BUILT = ROOT / "build" / "web_page"
STAMP = "sources.sha256"
_NOT_SOURCES = ("node_modules", "__pycache__")


def folder() -> Path:
    """The folder with `index.html` and all that it loads.

    Raises:
        ConfigError: the page is not built, or of other sources than this checkout's.
    """
    if not IS_CHECKOUT:
        if (BUILT / "index.html").is_file():
            return BUILT
        raise ConfigError(
            f"this installation carries no web page: `{BUILT}`",
            hint="install a wheel that `make wheel` made",
        )
    if not is_built():
        state = "older than its sources" if (BUILT / "index.html").is_file() else "not built"
        raise ConfigError(f"the web page is {state}: `{BUILT}`", hint="`make page`")
    return BUILT


def is_built() -> bool:
    """Whether the page is there and made of the sources that are there."""
    try:
        return (BUILT / STAMP).read_text().strip() == checksum()
    except OSError:
        return False


def checksum() -> str:
    """SHA-256 of names and contents of all sources, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sources():
        content = path.read_bytes()
        name = path.relative_to(SOURCES).as_posix()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def sources() -> list[Path]:
    """The files that the page is built of, sorted."""
    found = (path for path in SOURCES.rglob("*") if not set(path.parts) & set(_NOT_SOURCES))
    return sorted(path for path in found if path.is_file())
