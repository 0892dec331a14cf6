"""Which pixels of photographs show sky, as far as that is sure.

Depth maps tell nothing there. A smooth part of a picture above the horizon, which reaches the
picture's edge and does not go on below the horizon as a wall does, is taken for sky. Where most of
that is blue in a scene's photos, only what is blue counts, and from there sky goes on through what
is as blue, haze and the rims of clouds, and takes in the clouds that it surrounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from maquette.scene.transforms import Frame

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_SMOOTH, _WINDOW = 2.0, 9  # grey levels by which sky differs in a window of so many pixels
_LEAST = 0.02  # of a picture
_BELOW_DEG, _MOST_BELOW = 3.0, 0.01  # so far below the horizon lies at most this share of a part
_BLUE = 15.0  # levels by which blue exceeds red in a blue sky
_MOSTLY = 0.3  # of all smooth parts are blue where the sky is
_AS_BLUE, _AS_LIGHT = 0.35, 0.9  # of the sky's median blueness; of the luma of its darkest tenth
_CUT = 3  # pixels of its rim that may show something else


@dataclass(frozen=True)
class Photo:
    """A picture [H, W, 3] uint8 sRGB, its depths [H, W], 0 = none, and its camera."""

    picture: NDArray[np.uint8]
    depth: Floats
    frame: Frame


@dataclass(frozen=True)
class Sky:
    """What is known of the sky above a scene.

    Attributes:
        up: [3] world frame.
        is_blue: What is not blue in the photos is none.
    """

    up: Floats
    is_blue: bool = False

    def told_by(self, photos: Iterable[Photo]) -> Sky:
        """The same sky, with the colour that photos tell."""
        smooth = blue = 0
        for photo in photos:
            color = _softened(photo.picture)
            number, chosen = self._parts(photo, color)
            is_blue = _blueness(color, number, len(chosen)) >= _BLUE
            sizes = np.bincount(number.ravel(), minlength=len(chosen))
            smooth, blue = smooth + sizes[chosen].sum(), blue + sizes[chosen & is_blue].sum()
        return replace(self, is_blue=bool(blue and blue >= _MOSTLY * smooth))

    def shown_in(self, photo: Photo) -> Bools:
        """Which pixels [H, W] of a photo show sky."""
        color = _softened(photo.picture)
        number, chosen = self._parts(photo, color)
        if self.is_blue:
            chosen &= _blueness(color, number, len(chosen)) >= _BLUE
        sky = chosen[number]
        if sky.any():
            sky = self._whole(sky, photo, color)
        found: Bools = ndimage.binary_erosion(sky, iterations=_CUT, border_value=1)
        return found

    def _parts(self, photo: Photo, color: Floats) -> tuple[NDArray[np.intp], Bools]:
        """Smooth parts without depth by number [H, W], and which of the numbers may be sky."""
        grey = color @ _LUMA
        mean = ndimage.uniform_filter(grey, _WINDOW)
        variance = ndimage.uniform_filter(grey * grey, _WINDOW) - mean * mean
        height = _elevation(photo.frame, self.up)
        number, count = ndimage.label((variance < _SMOOTH**2) & (photo.depth <= 0))
        size = np.bincount(number.ravel(), minlength=count + 1)
        low = height < -np.sin(np.radians(_BELOW_DEG))
        below = np.bincount(number.ravel(), low.ravel(), minlength=count + 1)
        edges = np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]])
        chosen = (size >= _LEAST * number.size) & (below <= _MOST_BELOW * size)
        chosen &= np.bincount(edges, minlength=count + 1) > 0
        chosen[0] = False
        return np.where(height > 0, number, 0), chosen

    def _whole(self, sky: Bools, photo: Photo, color: Floats) -> Bools:
        """What is as blue as some sky [H, W] and joined to it, and the clouds inside, too."""
        above, luma = _elevation(photo.frame, self.up) > 0, color @ _LUMA
        if self.is_blue:
            blue = color[..., 2] - color[..., 0]
            alike = (blue >= _AS_BLUE * np.median(blue[sky])) & (photo.depth <= 0) & above
            alike &= luma >= _AS_LIGHT * np.quantile(luma[sky], 0.1)
            number, count = ndimage.label(sky | alike)
            joined = np.bincount(number[sky], minlength=count + 1) > 0
            sky = joined[number]
        number, count = ndimage.label(~sky)
        stands = np.concatenate([number[-1], number[:, 0], number[:, -1], number[~above]])
        floats = np.bincount(stands, minlength=count + 1) == 0
        light = ndimage.median(luma, number, np.arange(count + 1))
        floats &= light >= np.median(luma[sky])
        floats[0] = False
        return sky | floats[number]


def _softened(picture: NDArray[np.uint8]) -> Floats:
    color: Floats = ndimage.gaussian_filter(picture.astype(np.float32), (1.0, 1.0, 0.0))
    return color


def _blueness(color: Floats, number: NDArray[np.intp], count: int) -> Floats:
    """By how much blue exceeds red in each part; median."""
    blue: Floats = ndimage.median(color[..., 2] - color[..., 0], number, np.arange(count))
    return blue


def _elevation(frame: Frame, up: Floats) -> Floats:
    """The sine of the angle [H, W] at which pixels look above the horizon."""
    lens = frame.intrinsics
    across = (np.arange(lens.width) + 0.5 - lens.cx) / lens.fl_x
    down = (np.arange(lens.height) + 0.5 - lens.cy) / lens.fl_y
    right, below, ahead = up @ frame.world_from_cam[:3, :3]
    length = np.sqrt(1 + across[None] ** 2 + down[:, None] ** 2)
    height: Floats = (right * across[None] + below * down[:, None] + ahead) / length
    return height
