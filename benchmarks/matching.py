"""What matching photos by look saves and costs, beside matching every pair of them.

    .venv/bin/python benchmarks/matching.py FOLDER [FOLDER ...] [--cache DIR] [--shares] [--json]

Each folder holds photos, or a folder photos/ of them as samples/render_captures.py writes it.
They are prepared twice up to their poses, from the same features. Centres are compared after a
similarity, in shares of their spread: with those of every pair, and with the truth where there is
one. `--shares` tells instead which share of what every pair verifies other proposals would have
kept. What the cache folder has is not done again.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import growth
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.evaluate.similarity import fit_similarity, residuals
from maquette.recon.evaluate.truth import read_truth
from maquette.recon.sfm import colmap, matching, pairs, retrieval, view_graph
from maquette.scene import lock, originals, stage_records
from maquette.scene.paths import Scene
from rows import Row, print_rows

Centres = dict[str, NDArray[np.float64]]
FIRST = "every pair"
WAYS = {FIRST: "exhaustive", "by look": "auto"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, default=growth.ROOT / "build" / "matching")
    parser.add_argument("--shares", action="store_true", help="of proposals; no poses")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for folder in arguments.folders:
        base = arguments.cache.resolve() / folder.resolve().name
        if arguments.shares:
            rows += shares(prepared(folder, base, FIRST, "matches")[0])
        else:
            rows += poses(folder, base)
    print_rows(rows, arguments.json)


def prepared(folder: Path, base: Path, way: str, until: str) -> tuple[Scene, dict[str, Any]]:
    """Prepare photos one way; the features of the other way are copied."""
    photos = folder / "photos" if (folder / "photos").is_dir() else folder
    mine, other = (base / name.replace(" ", "-") for name in (way, FIRST))
    options = PrepareOptions(input=str(photos.resolve()), matcher=WAYS[way])
    if mine != other and not mine.exists():
        prepared(folder, base, FIRST, "features")
        shutil.copytree(other, mine)
    scene = Scene(mine / "scene")
    scene.stages.mkdir(parents=True, exist_ok=True)
    with lock.held(scene, print):
        return scene, growth.prepare(scene, mine, options, until)


def poses(folder: Path, base: Path) -> list[Row]:
    """Pairs, processor time and poses of both ways."""
    rows, first = list[Row](), Centres()
    truth = read_truth(folder)
    for way in reversed(WAYS):  # the copy of the features is made before they are matched
        prepared(folder, base, way, "features")
    for way in WAYS:
        scene, found = prepared(folder, base, way, "poses")
        tried, posed = (_numbers(scene, name) for name in ("matches", "poses"))
        figures = {
            "pairs tried": (tried["pairs_matched"], ""),
            "of all pairs": (100 * tried["pairs_matched"] / tried["pairs_in_all"], "%"),
            "matching, processor": (found["matches"][0], "s"),
            "photos with a pose": (posed["registered"], ""),
            "points": (posed["points"], ""),
            "reprojection error": (posed["mean_reprojection_error_px"], "px"),
        }
        mine = centres(scene)
        first = first or mine
        compared = [(FIRST, first)]
        if truth:
            compared.append(("truth", {name: pose[:3, 3] for name, pose in truth.poses.items()}))
        for name, theirs in compared:
            median, most = differences(mine, theirs)
            figures[f"centres off {name}"] = (100 * median, "%")
            figures[f"… {name}, at most"] = (100 * most, "%")
        rows += [Row(folder.name, way, name, *figure) for name, figure in figures.items()]
    return rows


def centres(scene: Scene) -> Centres:
    """Where the photos were taken, by their own names."""
    sources = originals.by_picture(scene)
    model = colmap.read_model(scene.distorted, "prepare it again")
    posed = (image for image in model.images.values() if image.has_pose)
    return {sources[image.name]: np.array(image.projection_center()) for image in posed}


def differences(mine: Centres, theirs: Centres) -> tuple[float, float]:
    """Median and largest distance of centres, in shares of their spread about their mean."""
    shared = sorted(mine.keys() & theirs.keys())
    source, target = (np.stack([one[name] for name in shared]) for one in (mine, theirs))
    off = residuals(fit_similarity(source, target), source, target)
    spread = float(np.sqrt(np.mean(np.sum((target - target.mean(axis=0)) ** 2, axis=1))))
    return float(np.median(off)) / spread, float(off.max()) / spread


def shares(scene: Scene) -> list[Row]:
    """Of the pairs and inliers that every pair verifies, those that proposals keep."""
    names = colmap.image_names(scene.database)
    verified = {p: n for p, n in matching.inliers(scene.database, names).items() if n > 0}
    ranked = pairs.ranked_by_look(
        retrieval.global_descriptors(scene.database, names, 0), len(names), gap=0
    )
    rows, case = list[Row](), f"{scene.root.parents[1].name}, {len(names)} photos"
    likest = {k: set(pairs.of_ranked(ranked[:, :k])) for k in (6, 8, 10, 12, 15, 20)}
    proposals = {f"{k} likest": found for k, found in likest.items()}
    for k in (6, 8):
        first = likest[k] | set(pairs.neighbours_in_order(len(names), 1))
        known = {pair: n for pair, n in verified.items() if pair in first}
        proposals[f"{k} + {k}"] = first | view_graph.friends(known, first, k)
    for name, found in proposals.items():
        kept = [verified[pair] for pair in verified.keys() & found]
        for metric, value in (
            ("of all pairs", len(found) / (len(names) * (len(names) - 1) / 2)),
            ("of verified pairs", len(kept) / len(verified)),
            ("of inliers", sum(kept) / sum(verified.values())),
        ):
            rows.append(Row(case, name, metric, 100 * value, "%"))
    return rows


def _numbers(scene: Scene, stage: str) -> dict[str, Any]:
    record = stage_records.read(scene, stage)
    assert record is not None
    return record.numbers


if __name__ == "__main__":
    main()
