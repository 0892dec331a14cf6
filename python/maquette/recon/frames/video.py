"""Video frames one at a time, upright, by rate or by sharpness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.frames.sharpness import Sharpest, sharpness


@dataclass(frozen=True)
class VideoFacts:
    """What a video holds; `frames` counts its packets, which are not yet decoded."""

    frames: int
    duration_s: float
    width: int
    height: int


@dataclass(frozen=True)
class VideoFrame:
    """One upright RGB frame, its place among all frames and its time."""

    image: Image.Image
    index: int
    time_s: float
    sharpness: float


def read_facts(path: Path) -> VideoFacts:
    """Count frames and decode the first one.

    Raises:
        BadInput: not a video, without frames, or not decodable.
    """
    first = next(decode(path), None)
    if first is None:
        raise BadInput(
            f"the video holds no pictures: `{path.name}`", hint="give another file with INPUT="
        )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = sum(1 for packet in container.demux(stream) if packet.size)
        duration_s = _duration_s(container, stream, packets)
    return VideoFacts(packets, duration_s, *first.image.size)


def decode(path: Path, rate: int = 1) -> Iterator[VideoFrame]:
    """Yield every `rate`-th frame, beginning with the first.

    A video that breaks off yields what could be decoded before.

    Raises:
        BadInput: it can not be opened or breaks before its first frame.
    """
    index = -1
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(
                    f"there is no picture track in `{path.name}`", hint="set INPUT= to a video"
                )
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index % rate == 0:
                    image = _upright(frame)
                    yield VideoFrame(image, index, float(frame.time or 0.0), sharpness(image))
    except av.FFmpegError as error:
        if index < 0:
            raise BadInput(
                f"the video can not be decoded: `{path.name}`: {error.strerror}",
                hint="check that it plays, or copy it again from the camera",
            ) from error


def sharpest(path: Path, count: int, total: int, seed: int) -> Iterator[VideoFrame]:
    """The sharpest frame of each of `count` equal windows of `total` frames."""
    count, judge = min(count, total), Sharpest(seed)
    window, best = 0, None
    for frame in decode(path):
        current = min(frame.index * count // total, count - 1)
        if current != window and best is not None:
            yield best
            judge.start()
        window = current
        if judge.is_better(frame.sharpness):
            best = frame
    if best is not None:
        yield best


def _upright(frame: av.VideoFrame) -> Image.Image:
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90
    pixels = frame.to_ndarray(format="rgb24")
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, quarter_turns)))


def _duration_s(
    container: av.container.InputContainer, stream: av.VideoStream, frames: int
) -> float:
    if container.duration:
        return float(container.duration / av.time_base)
    rate = stream.average_rate
    return float(frames / rate) if rate else 0.0
