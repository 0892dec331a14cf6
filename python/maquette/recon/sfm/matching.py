"""Matching pairs of pictures in a COLMAP database, with geometric verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maquette.recon.sfm import engine, likeness, pairs
from maquette.recon.sfm.engine import pycolmap
from maquette.recon.sfm.pairs import Pair
from maquette.scene.events import Progress

_BATCH = 100


def propose(database: Path, names: list[str], method: str, seed: int) -> list[Pair]:
    """List the pairs to match by `method`, exhaustive or sequential with loop closure."""
    if method == "exhaustive":
        return pairs.exhaustive(len(names))
    loops = pairs.alike(likeness.global_descriptors(database, names, seed))
    return pairs.in_tiles({*pairs.sequential(len(names)), *loops})


def match(
    database: Path, names: list[str], wanted: Sequence[Pair], seed: int, progress: Progress
) -> None:
    """Match the `wanted` pairs, given as positions in `names`; pairs already there are kept."""
    chosen = pycolmap.FeatureMatchingOptions()
    chosen.type = pycolmap.FeatureMatcherType.SIFT_BRUTEFORCE
    chosen.use_gpu = False
    chosen.num_threads = engine.threads()
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    listing = pycolmap.ImportedPairingOptions()
    listing.match_list_path = database.with_name(f"{database.name}-pairs.txt")
    done = 0
    try:
        for batch in pairs.batches(wanted, _BATCH):
            lines = [f"{names[i]} {names[j]}\n" for i, j in batch]
            Path(listing.match_list_path).write_text("".join(lines), encoding="utf-8")
            pycolmap.match_image_pairs(database, chosen, listing, verification, pycolmap.Device.cpu)
            done += len(batch)
            progress.step("pairs", done, len(wanted))
    finally:
        Path(listing.match_list_path).unlink(missing_ok=True)


def clear(database: Path) -> None:
    """Drop all matches of a database."""
    with engine.opened(database) as handle:
        handle.clear_matches()
        handle.clear_two_view_geometries()


def counts(database: Path) -> dict[str, int]:
    """How many pairs were tried and verified, and their matches."""
    with engine.opened(database) as handle:
        return {
            "pairs_matched": handle.num_matched_image_pairs(),
            "pairs_verified": handle.num_verified_image_pairs(),
            "matches": handle.num_inlier_matches(),
        }
