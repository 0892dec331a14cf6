"""Pictures as a film (H.264 in MP4), which browsers and phones play."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from maquette.scene.atomic import replacing

_QUALITY = "20"  # x264's constant rate factor: lower is larger and better


def write_movie(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int) -> None:
    """Write a film, whole or not at all.

    Args:
        pictures: [H, W, 3] sRGB, all of one size; an odd last row or column is left out, because
            the format halves colours' resolution.
    """
    with replacing(path) as temporary:
        options = {"movflags": "+faststart"}
        with av.open(str(temporary), "w", options=options) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.pix_fmt, stream.options = "yuv420p", {"crf": _QUALITY}
            for number, picture in enumerate(pictures):
                height, width = (side // 2 * 2 for side in picture.shape[:2])
                if not number:
                    stream.height, stream.width = height, width
                even = np.ascontiguousarray(picture[:height, :width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            container.mux(stream.encode())
