"""Depth maps as pictures."""

from __future__ import annotations

import numpy as np

from maquette.recon.pictures.depth_maps import NOTHING, colored, sheet


def test_near_is_bright_and_nothing_is_grey() -> None:
    depth = np.tile(np.linspace(1, 4, 50, dtype=np.float32), (4, 1))
    depth[0] = 0
    picture = colored(depth)
    assert (picture[0] == NOTHING).all()
    light = picture[1:].astype(int).sum(-1)
    assert (np.diff(light, axis=1) <= 0).all() and light[0, 0] > 500 and light[0, -1] < 60


def test_an_empty_map_and_one_of_a_single_depth_are_drawn() -> None:
    assert (colored(np.zeros((3, 5), np.float32)) == NOTHING).all()
    assert (colored(np.full((3, 5), 2.0, np.float32)) != NOTHING).any()


def test_a_sheet_holds_each_photo_above_its_map() -> None:
    photos = [np.full((30, 40, 3), 40 * n, np.uint8) for n in range(1, 6)]
    depths = [np.zeros((30, 40), np.float32)] * 5
    drawn = np.asarray(sheet(photos, depths, 40))
    assert drawn.shape == (4 * 34 + 4, 4 * 44 + 4, 3)
    assert (drawn[4:34, 4:44] == 40).all() and (drawn[38:68, 4:44] == NOTHING).all()
    assert (drawn[72:102, 4:44] == 200).all()
