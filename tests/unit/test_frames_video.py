"""Video frames: every N-th, the sharpest, upright, and what breaks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from maquette.errors import BadInput
from maquette.recon.frames import video

WIDTH, HEIGHT, RATE = 96, 64, 10


def texture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    return Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)


def write_film(path: Path, images: list[Image.Image]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *images[0].size, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        stream.options = {"qscale": "2"}
        for image in images:
            for packet in stream.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def turn(path: Path, matrix: tuple[int, ...]) -> None:
    """Write a display matrix into the mp4's track header."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # after version, times, id, duration, layer, volume
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    for position, value in enumerate((a, b, 0, c, d, 0)):
        raw = (value * 65536).to_bytes(4, "big", signed=True)
        content[start + 4 * position : start + 4 * position + 4] = raw
    path.write_bytes(content)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", [texture(seed) for seed in range(20)])


def test_facts(film: Path) -> None:
    facts = video.read_facts(film)
    assert (facts.frames, facts.width, facts.height) == (20, WIDTH, HEIGHT)
    assert facts.duration_s == pytest.approx(2.0, abs=0.11)


@pytest.mark.parametrize("rate", [1, 2, 3, 7, 50])
def test_every_nth_frame_begins_with_the_first(film: Path, rate: int) -> None:
    frames = list(video.decode(film, rate))
    assert [frame.index for frame in frames] == list(range(0, 20, rate))
    assert [frame.time_s for frame in frames] == pytest.approx([f.index / RATE for f in frames])


def test_the_sharpest_frame_of_each_window_is_taken(tmp_path: Path) -> None:
    sharp = {2, 5, 11, 14}
    blurred = ImageFilter.GaussianBlur(3)
    images = [texture(i) if i in sharp else texture(i).filter(blurred) for i in range(16)]
    film = write_film(tmp_path / "film.mp4", images)
    assert {frame.index for frame in video.sharpest(film, 4, 16, seed=0)} == sharp


@pytest.mark.parametrize("count", [1, 3, 6, 20, 99])
def test_windows_are_even_and_each_gives_one(film: Path, count: int) -> None:
    indices = [frame.index for frame in video.sharpest(film, count, 20, seed=0)]
    count = min(count, 20)
    assert [index * count // 20 for index in indices] == list(range(count))


def test_ties_are_repeatable_by_seed(tmp_path: Path) -> None:
    film = write_film(tmp_path / "still.mp4", [Image.new("RGB", (WIDTH, HEIGHT), "grey")] * 30)
    chosen = {
        seed: [frame.index for frame in video.sharpest(film, 5, 30, seed)] for seed in (0, 0, 1, 2)
    }
    assert chosen[0] == [frame.index for frame in video.sharpest(film, 5, 30, 0)]
    assert len({tuple(indices) for indices in chosen.values()}) > 1


def test_rotation_metadata_is_honoured(tmp_path: Path) -> None:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    image.paste("red", (0, 0, WIDTH // 2, HEIGHT // 2))  # top left as stored
    film = write_film(tmp_path / "phone.mp4", [image] * 4)
    turn(film, (0, 1, 0, -1, 0, 0))  # shown turned right by 90 degrees
    frame = next(video.decode(film)).image
    assert frame.size == (HEIGHT, WIDTH)
    red, green, _ = frame.getpixel((HEIGHT - 8, 8))  # type: ignore[misc]
    assert red > 180 > 90 > green  # it went to the top right


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 0, 1, 0), "top left"),
        ((-1, 0, 0, 0, 1, 0), "top right"),  # mirrored left and right
        ((1, 0, 0, 0, -1, 0), "bottom left"),  # mirrored top and bottom
        ((-1, 0, 0, 0, -1, 0), "bottom right"),  # turned by 180 degrees
    ],
)
def test_a_film_is_shown_mirrored_or_turned_as_it_says(
    tmp_path: Path, matrix: tuple[int, ...], shown: str
) -> None:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    image.paste("red", (0, 0, WIDTH // 2, HEIGHT // 2))
    film = write_film(tmp_path / "film.mp4", [image] * 4)
    turn(film, matrix)
    frame = next(video.decode(film)).image
    row, column = shown.split()
    corner = (8 if column == "left" else WIDTH - 8, 8 if row == "top" else HEIGHT - 8)
    red, green, _ = frame.getpixel(corner)  # type: ignore[misc]
    assert frame.size == (WIDTH, HEIGHT) and red > 180 > 90 > green


def test_a_broken_off_film_yields_what_it_has(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", [texture(seed) for seed in range(40)])
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    assert 3 <= len(list(video.decode(film))) < 40


@pytest.mark.parametrize("content", [b"", b"no film at all", b"\0" * 4096])
def test_no_film_is_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.mp4"):
        video.read_facts(path)


def test_sound_without_pictures_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(BadInput, match="no picture track"):
        video.read_facts(path)
