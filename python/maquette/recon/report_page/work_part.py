"""The part of the page about the work itself: remarks, times, memory, settings, versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from maquette.quantities import duration, size
from maquette.recon.report_page.markup import Html, bullets, element, joined, table
from maquette.scene.finished_work import Work
from maquette.scene.stage_records import StageRecord

_SHOWN_ELSEWHERE = ("input", "frames")


def remarks(works: Sequence[Work], missing: Sequence[str]) -> Html:
    """What stages said that a person should know, and what could not be shown."""
    told: list[str] = [
        joined([element("b", record.stage), ": ", text])
        for work in works
        for record in work.records
        if record.stage not in _SHOWN_ELSEWHERE
        for text in record.remarks
    ]
    told += [
        joined([element("code", path), " is damaged: nothing is told of what it held"])
        for work in works
        for path in work.damaged
    ]
    told += missing
    if not told:
        return Html("")
    return element("div", element("h3", "Worth knowing"), bullets(told), class_="notes")


def times(works: Sequence[Work]) -> Html:
    """How long each stage took, and the most memory that it held."""
    longest = max((record.wall_s for work in works for record in work.records), default=0.0)
    parts = [element("h2", "Time and memory")]
    for work in works:
        if work.records:
            parts += [element("h3", _owner(work)), _times(work.records, longest)]
    note = "Wall-clock time on the machines where the stages ran; memory is the most at one time."
    return joined([*parts, element("p", note, class_="soft small")])


def _times(records: Sequence[StageRecord], longest: float) -> Html:
    rows = [
        element("tr", element("th", record.stage, scope="row"), element("td", record.step),
                element("td", duration(record.wall_s)), element("td", _memory([record])),
                element("td", _bar(record.wall_s / max(longest, 1e-9)), class_="bar"))
        for record in records
    ]  # fmt: skip
    total = sum(record.wall_s for record in records)
    rows.append(
        element("tr", element("th", "together", scope="row"), element("td"),
                element("td", duration(total)), element("td", _memory(records)),
                element("td", class_="bar"), class_="total")
    )  # fmt: skip
    names = ("stage", "step", "time", "memory", "")
    head = element("tr", *(element("th", name, scope="col") for name in names))
    whole = element("table", element("thead", head), element("tbody", *rows), class_="times")
    return element("div", whole, class_="wide")


def _bar(share: float) -> Html:
    return element("i", style=f"width:{100 * share:.1f}%")


def _memory(records: Sequence[StageRecord]) -> str:
    resident = max((record.peak_bytes for record in records), default=0)
    gpu = max((record.gpu_peak_bytes for record in records), default=0)
    parts = [size(resident)] if resident else []
    return " + ".join(parts + ([f"{size(gpu)} GPU"] if gpu else []))


def settings(works: Sequence[Work]) -> Html:
    """What the stages of each step were told; first, and bold, what is not the default."""
    rows, are_all_usual = [], True
    for work in works:
        for step in dict.fromkeys(record.step for record in work.records):
            name = step if work.is_shared else f"{work.owner}, {step}"
            chosen, usual = _told(work, step)
            are_all_usual = are_all_usual and not chosen
            told = [element("b", words) for words in chosen] + usual
            rows.append((name, joined(element("span", words, class_="fact") + " "
                                      for words in told)))  # fmt: skip
    if not rows:
        return Html("")
    note = "All are the defaults." if are_all_usual else "Bold: not the default."
    parts = [element("h2", "Settings"), table((), rows, "stacked")]
    return joined([*parts, element("p", note, class_="soft small")])


def _told(work: Work, step: str) -> tuple[list[Html], list[Html]]:
    """`NAME=value` of what is not the default, and of the rest, each once."""
    known = work.options(step)
    chosen: dict[str, Html] = {}
    usual: dict[str, Html] = {}
    for record in work.records:
        for name, value in record.parameters.items() if record.step == step else ():
            option = known.get(name)
            words = f"{option.setting if option else name.upper()}={_written(value)}"
            is_usual = option is None or _same(option.default, value)
            (usual if is_usual else chosen)[words] = element("code", words)
    return list(chosen.values()), list(usual.values())


def _same(default: Any, value: Any) -> bool:
    return bool(default == value) or (default == "" and value in ({}, []))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


def versions(works: Sequence[Work], licences: dict[str, dict[str, str]]) -> Html:
    """Whose programs computed, of which versions, when."""
    programs: dict[str, set[str]] = {}
    for work in works:
        for record in work.records:
            for name, version in record.versions.items():
                programs.setdefault(name, set()).add(version)
    first = [(f"{owner}, {step}", licence) for owner, steps in licences.items()
             for step, licence in steps.items()]  # fmt: skip
    told = [
        element("span", f"{name} ") + element("b", ", ".join(sorted(found)))
        for name, found in sorted(programs.items())
    ]
    parts = [element("h2", "Programs")]
    if first:
        parts += [element("h3", "Who computed, under which licence"), table((), first)]
    if told:
        listed = joined(element("span", words, class_="fact") + " " for words in told)
        parts += [element("h3", "Versions"), element("p", listed, class_="small")]
    return joined(parts) if len(parts) > 1 else Html("")


def _owner(work: Work) -> str:
    return "prepare, for all methods" if work.is_shared else work.owner
