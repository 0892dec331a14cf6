"""`report.html` of a scene, composed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from maquette.counting import counted
from maquette.quantities import duration, number, size
from maquette.recon.report_page import method_part, photo_part, work_part
from maquette.recon.report_page.album import Album
from maquette.recon.report_page.markup import Html, element, joined
from maquette.recon.report_page.style import CSS
from maquette.resources import version
from maquette.scene import finished_work, originals
from maquette.scene.finished_work import Work
from maquette.scene.paths import Scene

_ROOM = 5_000_000  # bytes that pictures may take
_KEY = "maquette-content"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def compose(scene: Scene, key: str = "") -> str:
    """The whole page; a part that can not be made says so in its place."""
    album = Album(_ROOM)
    works = finished_work.gather(scene)
    common, *methods = works
    pictures = 1 + sum(len(method_part.pictures_of(work)) + 1 for work in methods)
    share = max(0.12, 0.6 / pictures)
    parts: list[tuple[str, Callable[[], Html]]] = [
        *((work.owner, partial(method_part.method, work, album, share)) for work in methods),
        ("photographs", partial(photo_part.photographs, scene, common, album)),
        ("cameras", partial(photo_part.cameras, scene, common, album)),
        ("time", partial(work_part.times, works)),
        ("settings", partial(work_part.settings, works)),
        ("programs", partial(work_part.versions, works, finished_work.read_licences(scene))),
    ]
    body = [_guarded(scene, name, make) for name, make in parts]
    notes = _guarded(scene, "remarks", partial(work_part.remarks, works, album.missing))
    head = _guarded(scene, "overview", partial(_overview, scene, works))
    return _document(scene.name, key, [head, element("main", notes, *body), _foot(works)])


def _guarded(scene: Scene, name: str, make: Callable[[], Html]) -> Html:
    try:
        return make()
    except Exception as error:  # whatever lies in a scene, the rest of the page is worth having
        reason = f"{type(error).__name__}: {error}".replace(str(scene.root), scene.name)
        words = f"The part `{name}` could not be made: {reason}."
        return element("p", words, class_="notes")


def _overview(scene: Scene, works: Sequence[Work]) -> Html:
    common, *methods = works
    names = ", ".join(work.owner for work in methods)
    tiles = [element("div", element("dt", name), element("dd", value))
             for name, value in _tiles(scene, common, methods)]  # fmt: skip
    return element(
        "header",
        element("h1", scene.name),
        element("p", f"A 3D model from photographs: {names}" if names else "Prepared photographs",
                class_="soft"),
        element("dl", *tiles, class_="tiles"),
    )  # fmt: skip


def _tiles(scene: Scene, common: Work, methods: Sequence[Work]) -> Iterator[tuple[str, str]]:
    poses = common.numbers("poses")
    if "registered" in poses:
        noun = "frames" if originals.is_video(scene) else "photographs"
        yield f"{noun} used", f"{poses['registered']:,} of {poses['images']:,}"
    for name in ("points", "faces"):
        found = next((value for work in methods if (value := work.newest(name)) is not None), None)
        if isinstance(found, int):
            yield name, number(found)
    records = [record for work in (common, *methods) for record in work.records]
    if records:
        yield "time", duration(sum(record.wall_s for record in records))
    if peak := max((record.peak_bytes for record in records), default=0):
        yield "memory", size(peak)


def _foot(works: Sequence[Work]) -> Html:
    times = sorted(record.started_at for work in works for record in work.records)
    when = f"Worked on from {_day(times[0])} to {_day(times[-1])} UTC. " if times else ""
    files = counted(sum(len(work.outputs) for work in works), "result")
    words = f"{when}{files}. Written by maquette {version()}; the numbers stand in "
    return element("footer", joined([words, element("code", "report.json"), "."]))


def _day(time: str) -> str:
    return time[:16].replace("T", " ")


def _document(title: str, key: str, parts: Sequence[str]) -> str:
    head = [
        element("meta", charset="utf-8"),
        element("meta", name=_KEY, content=key),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} · maquette"),
        element("style", Html(CSS)),
    ]
    lines = "\n".join([*head, element("body", *parts)])
    return f'<!doctype html>\n<html lang="en">\n{lines}\n</html>\n'
