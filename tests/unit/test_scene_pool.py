"""Generated scenes that are shown several times: the same sample whatever the folder holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from maquette.recon.mvsnet import warping
from maquette.recon.mvsnet.generated.pool import PooledScenes
from maquette.recon.mvsnet.planes import sweep_matrices
from maquette.recon.mvsnet.samples import Sample

SMALL = (48, 32)


def test_a_sample_does_not_depend_on_what_the_folder_holds(tmp_path: Path) -> None:
    place = 5, 3
    first = PooledScenes(tmp_path, SMALL, views=2)[place]
    (file,) = tmp_path.rglob("*.npz")
    assert equal(first, PooledScenes(tmp_path, SMALL, views=2)[place])
    file.write_bytes(file.read_bytes()[:100])  # a full disk cut it off
    assert equal(first, PooledScenes(tmp_path, SMALL, views=2)[place])
    assert not equal(first, PooledScenes(tmp_path, SMALL, views=2)[5, 4])


def test_the_pool_grows_by_a_scene_for_so_many_samples_once_it_has_some(tmp_path: Path) -> None:
    pool = PooledScenes(tmp_path, SMALL, reuse=4)
    shown = [pool.scene_of((index, 0)) for index in range(2000)]
    assert len(set(shown[:256])) >= 250  # those that begin are nearly all new
    assert len(set(shown[1000:])) > 500 and max(shown) == 256 + 499
    assert all(number <= 256 + index // 4 for index, number in enumerate(shown))


def test_pixels_are_found_where_the_cameras_say_in_mirrors_too(tmp_path: Path) -> None:
    """Pixels of the source moved by the true depth look like the reference's."""
    pool = PooledScenes(tmp_path, (96, 64), views=2)
    unlike = []
    for index in range(6):  # four ways to mirror
        sample = pool[index, 1]
        here, there = (moved(sample, factor) for factor in (1.0, 0.5))
        unlike.append((here, there))
    assert np.mean([here < there for here, there in unlike]) == 1.0


def moved(sample: Sample, factor: float) -> float:
    """How much the source differs from the reference where `factor` × the depth puts it."""
    matrices = sweep_matrices(sample.projections[None], 1)[0]
    depth = (sample.depth * factor)[None, None]
    seen = warping.warp(sample.images[1:2], matrices, depth, sample.depth.shape)[0, :, 0]
    known = sample.mask & (seen.sum(0) > 0)
    grey, other = sample.images[0].mean(0)[known], seen.mean(0)[known]
    return -float(torch.corrcoef(torch.stack([grey, other]))[0, 1]) if known.sum() > 9 else 1.0


def equal(one: Sample, other: Sample) -> bool:
    return one.name == other.name and all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("images", "depth", "projections")
    )
