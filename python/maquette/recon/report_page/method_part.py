"""The part of the page about one pipeline: what it made, and how good that is."""

from __future__ import annotations

from pathlib import Path

from maquette.quantities import size
from maquette.recon.report_page.album import Album
from maquette.recon.report_page.markup import (
    Html,
    bullets,
    element,
    figure,
    joined,
    label,
    quantity,
    table,
)
from maquette.recon.report_page.quality import measures
from maquette.scene import outputs
from maquette.scene.finished_work import Work
from maquette.scene.outputs import Output
from maquette.scene.stage_records import StageRecord

_WIDTH_PX = 1600
_KINDS = {
    outputs.MESH: "mesh", outputs.REDUCED_MESH: "smaller copy of the mesh",
    outputs.POINTS: "points", outputs.PICTURE: "picture",
}  # fmt: skip


def method(work: Work, album: Album, part: float) -> Html:
    """Pictures, numbers of each stage, quality and files of one pipeline.

    Args:
        part: The share of the album's room that each picture may take.
    """
    summary = work.summary or "a method that is not installed here"
    drawn = {output: _shown(work, output, album, part) for output in pictures_of(work)}
    parts = [
        element("h2", work.owner),
        element("p", f"{summary[:1].upper()}{summary[1:]}."),
        *(shown for output, shown in drawn.items() if output.stage),
        _preview(work, album, part),
        _stages(work),
        _quality(work),
        *(shown for output, shown in drawn.items() if not output.stage),
        _files(work),
    ]
    return joined(parts)


def pictures_of(work: Work) -> list[Output]:
    """The pictures to show, the newest first: neither pages of a texture nor other parts of one."""
    parts_of_others = {
        path for record in work.records for path in record.outputs if path not in record.kinds
    }
    found = [item for item in work.outputs if item.kind == outputs.PICTURE]
    return [item for item in found[::-1] if item.path not in parts_of_others]


def title_of(work: Work, output: Output) -> str:
    """A picture's name as words: `owl_held_out.png` shows `held out`."""
    stem = Path(output.path).stem
    return stem.removeprefix(f"{work.scene.name}_").replace("_", " ")


def _shown(work: Work, output: Output, album: Album, part: float) -> Html:
    words = title_of(work, output)
    picture = album.picture(work.scene.root / output.path, output.path, words, _WIDTH_PX, part)
    by = f", by stage {output.stage}" if output.stage else ""
    caption = f"{words[:1].upper()}{words[1:]} ({Path(output.path).name}{by})."
    return figure(picture, caption) if picture else Html("")


def _preview(work: Work, album: Album, part: float) -> Html:
    """The newest picture that training left."""
    found = sorted(work.scene.of(work.owner).runs.glob("*/previews/*.png"))
    if not found:
        return Html("")
    path = found[-1]
    name = work.scene.relative(path)
    picture = album.picture(path, name, "a preview of training", _WIDTH_PX, part)
    caption = f"A photo and what was drawn of it at the end of training ({path.name})."
    return figure(picture, caption) if picture else Html("")


def _stages(work: Work) -> Html:
    rows = [(record.stage, facts(record)) for record in work.records if record.numbers]
    if not rows:
        return Html("")
    return element("h3", "What each stage counted") + table((), rows, "stacked")


def facts(record: StageRecord) -> Html:
    """A stage's numbers beside one another."""
    told = [
        element("span", f"{label(name)} ") + element("b", quantity(name, value))
        for name, value in record.numbers.items()
        if not isinstance(value, dict)
    ]
    return joined(element("span", words, class_="fact") + " " for words in told)


def _quality(work: Work) -> Html:
    if not work.evaluation:
        return Html("")
    rows, reasons = measures(work.evaluation)
    head = element("h3", "Quality")
    measured = table(("measure", "value", "what it says"), rows, "numbers") if rows else Html("")
    missing = element("p", "Not measured:", class_="soft") if reasons else ""
    return joined([head, measured, missing, bullets(reasons)])


def _files(work: Work) -> Html:
    rows = [
        (element("code", item.path), _KINDS.get(item.kind, item.kind), size(item.size_bytes))
        for item in work.outputs
    ]
    if not rows:
        return Html("")
    return element("h3", "Files") + table(("file", "kind", "size"), rows)
