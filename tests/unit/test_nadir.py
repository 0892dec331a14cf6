"""Whether photos look down, and what is said where a method is for the other kind."""

from __future__ import annotations

import pytest

from maquette.recon.places import nadir


@pytest.mark.parametrize(
    ("chosen", "angle", "told"),
    [
        ("down", 3.0, ""),
        ("down", 19.9, ""),
        ("down", 20.0, "PIPELINE=down is for photos that look down"),
        ("down", 88.0, "looks 88° away from straight down"),
        ("around", 88.0, ""),
        ("around", 3.0, "PIPELINE=down makes maps of such photos"),
        ("down", None, ""),
    ],
)
def test_what_does_not_suit_is_said(chosen: str, angle: float | None, told: str) -> None:
    found = nadir.advice(chosen, ["down"], angle)
    assert told in found and bool(told) == bool(found)
