"""One HTML file with page, manifest and all that it names: opens by a double click, offline."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from maquette.errors import BadInput
from maquette.publishing.site import Content, Site, addressed, index_page, read_bytes, read_text
from maquette.quantities import size

MOST_BYTES = 25_000_000
_PHOTOS = "thumbnails/"
_LIGHT = 0.1  # of all, that small pictures of photos may take where others would lose by them
_ELEMENT_BYTES = 300  # around a file, and what the manifest says of it
# Base64 stands in elements of its own, because browsers bound the length of an address; what the
# page fetches are addresses of memory, which a page from a disk may ask for too.
_UNPACK = """
(() => {
    const bytes = (id) => Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    const address = (data, type) => URL.createObjectURL(new Blob([data], { type }));
    const told = document.getElementById("maquette-files");
    const manifest = JSON.parse(told.textContent, (key, value) => {
        if (typeof value !== "string" || !value.startsWith("embedded:")) return value;
        const name = value.slice("embedded:".length);
        return address(bytes(name), name.endsWith(".jpg") ? "image/jpeg" : "application/octet-stream");
    });
    const meta = document.querySelector('meta[name="maquette-manifest"]');
    meta.content = address(JSON.stringify(manifest), "application/json");
})();
"""  # noqa: E501


def page_in_one(site: Site, picture: str, manifest: str) -> bytes:
    """`index.html` with script and style inside; the manifest's address is written into it."""
    return _inlined(site, index_page(site, picture, manifest=manifest)).encode()


def everything_in_one(site: Site) -> bytes:
    """Page, manifest and files as one HTML file.

    Small pictures of photos are left out where the file would become too large for them.

    Raises:
        BadInput: it has more than 25 MB without them.
    """
    for with_photos in (True, False):
        content = _packed(site, with_photos=with_photos)
        if len(content) <= MOST_BYTES:
            return content
    sizes = {name: len(read_bytes(part)) for name, part in site.files.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    raise BadInput(
        f"one file with all of `{site.manifest['title']}` would have {size(len(content))}; "
        f"more than {size(MOST_BYTES)} is not written",
        detail=f"the largest part: `{largest}`, {size(sizes[largest])}",
        hint="PIPELINE= publishes one result alone",
    )


def share_of_each(site: Site) -> int:
    """The most bytes that each splat or mesh file may have for all to fit; 0: they fit as they are.

    Small pictures of photos count where they are light.
    """
    shown = [*site.manifest.get("formats", {}).values()]
    shown += [mesh["url"] for mesh in site.manifest.get("meshes", ())]
    photos = {name: part for name, part in site.files.items() if name.startswith(_PHOTOS)}
    is_heavy = sum(len(read_bytes(part)) for part in photos.values()) > _LIGHT * MOST_BYTES
    left_out = {*shown, *(photos if is_heavy else ())}
    rest = {name: part for name, part in site.files.items() if name not in left_out}
    taken = len(_packed(replace(site, files=rest), with_photos=True))
    room = (MOST_BYTES - taken) * 3 // 4 - _ELEMENT_BYTES * len(shown)
    return level([len(read_bytes(site.files[name])) for name in shown], room)


def level(sizes: Sequence[int], room: int) -> int:
    """To what the largest have to be cut for all of them to fit into `room`; 0: to nothing less."""
    for number, amount in enumerate(sorted(sizes)):
        share = room // (len(sizes) - number)
        if amount > share:
            return max(share, 1)
        room -= amount
    return 0


def _packed(site: Site, *, with_photos: bool) -> bytes:
    names = [
        name for name in site.files
        if (with_photos or not name.startswith(_PHOTOS)) and name != site.link_picture
    ]  # fmt: skip
    told = addressed(site.manifest, lambda name: f"embedded:{name}" if name in names else "")
    text = index_page(site, "", manifest="embedded")
    parts = [_element("maquette-files", "application/json", _script_safe(told))]
    parts += [
        _element(name, "application/octet-stream", _base64(site.files[name])) for name in names
    ]
    parts.append(f"<script>{_UNPACK}</script>")
    return _inlined(site, text, before="\n".join(parts)).encode()


def _base64(content: Content) -> str:
    return base64.b64encode(read_bytes(content)).decode()


def _script_safe(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _element(name: str, kind: str, text: str) -> str:
    return f'<script type="{kind}" id="{name}">{text}</script>'


def _inlined(site: Site, text: str, before: str = "") -> str:
    """Put styles and scripts of the page into its text.

    Args:
        before: Goes before the first script.
    """

    def style(found: re.Match[str]) -> str:
        return f"<style>{read_text(site.page[found[1]])}</style>"

    def script(found: re.Match[str]) -> str:
        code = read_text(site.page[found[1]]).replace("</script", "<\\/script")
        return f"{before}<script>{code}</script>"

    text = re.sub(r'<link rel="stylesheet" href="([^"]+)">', style, text)
    return re.sub(r'<script src="([^"]+)"></script>', script, text, count=1)
