"""Video frames one at a time, as they are meant to be seen, by rate or by sharpness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import av
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.frames import colour, display
from maquette.recon.frames.sharpness import Sharpest, sharpness

_JUDGED_FRAMES = 8  # a film that is interlaced says so in one of its first frames


@dataclass(frozen=True)
class VideoFacts:
    """What a video holds; `frames` counts its packets, which are not yet decoded."""

    frames: int
    duration_s: float
    width: int
    height: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class VideoFrame:
    """One frame, its place among all frames and its time."""

    decoded: av.VideoFrame
    pixel_aspect: Fraction
    index: int
    was_interlaced: bool = False

    @property
    def time_s(self) -> float:
        """Seconds since the film's beginning."""
        return float(self.decoded.time or 0.0)

    @cached_property
    def image(self) -> Image.Image:
        """The frame upright, with square pixels, in 8-bit sRGB."""
        if not self.is_converted:
            return self._stored
        pixels = self.decoded.to_ndarray(format="rgb48le", src_colorspace=self._matrix)
        code_points = self.decoded.color_trc, self.decoded.color_primaries
        return display.upright(
            colour.to_srgb(pixels, *code_points), self.decoded, self.pixel_aspect
        )

    @cached_property
    def sharpness(self) -> float:
        """As `sharpness.sharpness`, of the colours as stored."""
        return sharpness(self._stored)

    @property
    def is_converted(self) -> bool:
        """Whether its colours are not sRGB as stored."""
        return colour.needs_conversion(self.decoded.color_trc, self.decoded.color_primaries)

    @cached_property
    def _stored(self) -> Image.Image:
        pixels = self.decoded.to_ndarray(format="rgb24")
        return display.upright(pixels, self.decoded, self.pixel_aspect)

    @property
    def _matrix(self) -> int | None:
        wide = self.decoded.color_primaries == colour.Primaries.BT2020
        return int(av.video.reformatter.Colorspace.BT2020) if wide else None


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
        stream = _film(container, path)
        packets = _packets(container, stream)
        duration_s = _duration_s(container, stream, packets)
    return VideoFacts(packets, duration_s, *first.image.size, _remarks(first))


def decode(path: Path, rate: int = 1) -> Iterator[VideoFrame]:
    """Yield every `rate`-th frame, beginning with the first.

    A video that breaks off yields what could be decoded before.

    Raises:
        BadInput: it can not be opened or breaks before its first frame.
    """
    index = -1
    try:
        with av.open(str(path)) as container:
            stream = _film(container, path)
            stream.thread_type = "AUTO"
            aspect = display.pixel_aspect(stream)
            frames = container.decode(stream)
            first = list(islice(frames, _JUDGED_FRAMES))
            is_interlaced = any(frame.interlaced_frame for frame in first)
            every = chain(first, frames)
            for index, frame in enumerate(_whole(every, stream) if is_interlaced else every):
                if index % rate == 0:
                    yield VideoFrame(frame, aspect, index, is_interlaced)
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


def _film(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The track that is the film: covers, posters and thumbnails are tracks of pictures too."""
    attached = av.stream.Disposition.attached_pic
    tracks = [track for track in container.streams.video if not track.disposition & attached]
    if not tracks:
        raise BadInput(f"there is no picture track in `{path.name}`", hint="set INPUT= to a video")
    if len(tracks) == 1:
        return tracks[0]
    counts = {track.index: track.frames or _packets_apart(path, track.index) for track in tracks}
    moving = [track for track in tracks if counts[track.index] > 1] or tracks
    return max(moving, key=lambda track: (track.width * track.height, counts[track.index]))


def _packets_apart(path: Path, index: int) -> int:
    with av.open(str(path)) as container:
        return _packets(container, container.streams[index])


def _packets(container: av.container.InputContainer, stream: av.stream.Stream) -> int:
    return sum(1 for packet in container.demux(stream) if packet.size)


def _whole(frames: Iterator[av.VideoFrame], stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Interlaced frames with the first field's time, both halves made whole."""
    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream, time_base=stream.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame"), graph.add("buffersink"))
    graph.configure()
    for frame in frames:
        graph.push(frame)
        yield from _ready(graph)
    graph.push(None)
    yield from _ready(graph)


def _ready(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def _remarks(first: VideoFrame) -> tuple[str, ...]:
    found = []
    transfer = first.decoded.color_trc
    if transfer in tuple(colour.Transfer):
        name = colour.Transfer(transfer).name
        found.append(f"film of high dynamic range ({name}): tone-mapped to standard range")
    elif first.is_converted:
        found.append("film in a wide colour space: converted to sRGB")
    if first.pixel_aspect != 1:
        ratio = f"{first.pixel_aspect.numerator}:{first.pixel_aspect.denominator}"
        found.append(f"film with pixels of {ratio}: stretched to square ones")
    if first.was_interlaced:
        found.append("interlaced film: deinterlaced")
    return tuple(found)


def _duration_s(
    container: av.container.InputContainer, stream: av.VideoStream, frames: int
) -> float:
    if container.duration:
        return float(container.duration / av.time_base)
    rate = stream.average_rate
    return float(frames / rate) if rate else 0.0
