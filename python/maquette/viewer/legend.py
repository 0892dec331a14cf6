"""What the colours of the adjusting page mean, and the title of its window."""

from __future__ import annotations

from html import escape

from maquette.viewer.scenery import BOX, CAMERA, CHOSEN, SPHERE
from maquette.viewer.selecting import SELECTED

_NAMES = (
    (SPHERE, "sphere"),
    (BOX, "box"),
    (CAMERA, "cameras"),
    (CHOSEN, "its photo"),
    (SELECTED, "selected points"),
    ((235, 235, 235), "points outside"),
)


_NARROW = (
    "<style>@media (max-width: 600px) {"
    ".mantine-NumberInput-section { display: none }"
    ".mantine-NumberInput-input { padding: 0 0.25em !important }"
    "}</style>"
)


def for_phones() -> str:
    """HTML that gives the digits of numbers the room of their arrows, in a narrow window."""
    return _NARROW


def legend() -> str:
    """HTML: a coloured dot and a word for each."""
    dots = (
        '<span style="white-space:nowrap;margin-right:0.8em">'
        '<span style="display:inline-block;width:0.7em;height:0.7em;border-radius:50%;'
        f'margin-right:0.35em;background:rgb{color};border:1px solid #bbb"></span>{name}</span> '
        for color, name in _NAMES
    )
    return f'<div style="font-size:0.8em;padding:0.4em 1em 0;line-height:1.6">{"".join(dots)}</div>'


def page_title(text: str) -> str:
    """HTML that gives the browser's window this title: the viewer's own page has a fixed one."""
    code = escape(f"document.title={text!r}", quote=True)
    return f'<img alt="" src="data:," style="display:none" onerror="{code}">'
