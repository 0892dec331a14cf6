"""Renderings that show a part of a view are measured where they show it."""

from __future__ import annotations

import numpy as np
import pytest

from maquette.recon.evaluate.evaluation import _note_views
from maquette.recon.evaluate.findings import Findings
from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.evaluate.views import Pair, draw_pairs

PHOTO = np.random.default_rng(0).uniform(size=(40, 50, 3))


def test_only_what_is_shown_counts() -> None:
    render = PHOTO + 0.1
    render[:, :20] = np.nan
    pair = Pair("a.png", PHOTO, render)
    assert pair.shown.mean() == pytest.approx(0.6)
    assert pair.psnr_db == pytest.approx(20.0)
    whole = Pair("a.png", PHOTO, PHOTO + 0.1)
    assert whole.psnr_db == pytest.approx(20.0)
    assert pair.ssim == pytest.approx(whole.ssim, abs=0.01)
    assert draw_pairs([pair]).size[0] > 50


def test_what_shows_nothing_has_no_figures() -> None:
    pair = Pair("a.png", PHOTO, np.full_like(PHOTO, np.nan))
    assert np.isnan(pair.psnr_db) and np.isnan(pair.ssim)
    with pytest.raises(NotMeasured, match="none of the held-out views"):
        _note_views([pair], Findings())


def test_views_that_show_nothing_do_not_spoil_the_others() -> None:
    found = Findings()
    shown = Pair("a.png", PHOTO, PHOTO + 0.1)
    _note_views([Pair("b.png", PHOTO, np.full_like(PHOTO, np.nan)), shown], found)
    assert found.values["psnr_db"] == pytest.approx(20.0, abs=0.01)
    assert found.details["held_out_shown_share"] == 1.0
