"""Compare renderings with photographs that training never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.metrics import structural_similarity

from maquette.recon.evaluate.protocols import Renderer
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

Picture = NDArray[np.float64]
MAX_VIEWS = 6
LONG_SIDE_PX = 240
_BEST_PSNR_DB = 100.0
_GAP_PX, _LABEL_PX = 4, 18


@dataclass(frozen=True)
class Pair:
    """A photograph and the rendering of its view, [H, W, 3] sRGB 0..1.

    The rendering is NaN where it shows nothing, such as beside a mesh; only the rest counts.
    """

    file_path: str
    photo: Picture
    render: Picture

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which pixels count, [H, W]."""
        return np.asarray(np.isfinite(self.render).all(axis=2))

    @property
    def psnr_db(self) -> float:
        """Peak signal-to-noise ratio, at most 100 dB; NaN where nothing is shown."""
        shown = self.shown
        if not shown.any():
            return float("nan")
        error = float(((self.photo - self.render)[shown] ** 2).mean())
        return min(_BEST_PSNR_DB, -10 * float(np.log10(max(error, 1e-12))))

    @property
    def ssim(self) -> float:
        """Structural similarity, the mean over what is shown; NaN where nothing is.

        Windows that reach beyond find the photograph itself there. Source: Wang et al., 2004,
        with its Gaussian window.
        """
        shown = self.shown
        if not shown.any():
            return float("nan")
        whole, values = structural_similarity(
            self.photo,
            np.where(shown[..., None], self.render, self.photo),
            channel_axis=2,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        return float(whole if shown.all() else values[shown].mean())


def held_out(frames: Sequence[Frame]) -> list[Frame]:
    """At most six of the frames that training leaves out, evenly chosen."""
    frames = split(frames)[1]
    chosen = np.linspace(0, len(frames) - 1, min(MAX_VIEWS, len(frames))).round().astype(int)
    return [frames[index] for index in chosen]


def render_pairs(
    scene: Scene,
    renderer: Renderer,
    frames: Sequence[Frame],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Pair]:
    """Render each frame's view at a reduced size, beside its photo averaged down to it.

    A reduced photo is an average over each pixel's area, so the rendering averages two rays.
    """
    pairs = []
    views = Views(scene, frames, LONG_SIDE_PX)
    for number, frame in enumerate(views.frames):
        photo = views.image(number)
        looks = [
            np.asarray(renderer.render(shifted), dtype=np.float64) for shifted in _shifted(frame)
        ]
        render = np.clip(np.mean(looks, axis=0), 0.0, 1.0)
        pairs.append(Pair(frame.file_path, photo / 255.0, render))
        told(number + 1, len(frames))
    return pairs


def _shifted(frame: Frame) -> list[Frame]:
    """The frame with its rays moved a quarter pixel towards two opposite corners."""
    camera = frame.intrinsics
    return [
        replace(frame, intrinsics=replace(camera, cx=camera.cx + step, cy=camera.cy + step))
        for step in (-0.25, 0.25)
    ]


def draw_pairs(pairs: Sequence[Pair]) -> Image.Image:
    """One picture: photos on top, renderings below, a column for each view."""
    width = max(pair.photo.shape[1] for pair in pairs)
    height = max(pair.photo.shape[0] for pair in pairs)
    pitch = width + _GAP_PX
    size = (len(pairs) * pitch + _GAP_PX, 2 * (height + _GAP_PX) + _LABEL_PX)
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for column, pair in enumerate(pairs):
        x = _GAP_PX + column * pitch
        sheet.paste(_image(pair.photo), (x, _GAP_PX))
        sheet.paste(_image(pair.render), (x, 2 * _GAP_PX + height))
        label = f"{pair.psnr_db:.1f} dB  SSIM {pair.ssim:.2f}"
        pen.text((x, size[1] - _LABEL_PX + 2), label, (96, 96, 96), font)
    return sheet


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(np.round(np.nan_to_num(picture, nan=1.0) * 255).astype(np.uint8))
