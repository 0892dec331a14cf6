"""Colours and depths of photos and film: what is seen is what was meant."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from maquette.recon.frames import colour, photos, sources, video
from maquette.recon.frames.colour import Primaries, Transfer
from maquette.recon.frames.deep import White

GREEN = (40, 200, 40)


def display_p3() -> bytes:
    """An ICC profile of three primaries and sRGB's curve, made from sRGB's own."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = {  # of Display P3, adapted to D50
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for place in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        tag, offset = (
            bytes(profile[place : place + 4]),
            struct.unpack_from(">I", profile, place + 4),
        )
        if tag in columns:
            numbers = [round(value * 65536) for value in columns[tag]]
            struct.pack_into(">3i", profile, offset[0] + 8, *numbers)
    return bytes(profile)


def written(path: Path, **how: object) -> np.ndarray:
    photos.write_normalised(path, path.with_name("out.jpg"), **how)  # type: ignore[arg-type]
    with Image.open(path.with_name("out.jpg")) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_wide_colour_space_becomes_srgb(tmp_path: Path, form: str) -> None:
    profile = display_p3()
    path = tmp_path / "p"
    wide = ImageCms.profileToProfile(
        Image.new("RGB", (32, 32), GREEN),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(BytesIO(profile)),
    )
    assert wide is not None
    stored = wide.getpixel((5, 5))
    assert isinstance(stored, tuple) and stored[0] > 60  # else this test would show nothing
    wide.save(path, format=form, quality=98, icc_profile=profile)
    assert np.abs(written(path)[16, 16] - GREEN).max() <= 6


def test_a_jpeg_with_srgbs_own_profile_is_copied(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (32, 32), GREEN).save(path := tmp_path / "p.jpg", icc_profile=profile)
    written(path)
    assert (tmp_path / "out.jpg").read_bytes() == path.read_bytes()


def test_a_damaged_profile_is_named_and_the_photo_kept(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), GREEN).save(path := tmp_path / "p.png", icc_profile=b"x" * 200)
    assert "profile is damaged" in photos.write_normalised(path, tmp_path / "out.jpg").remark


def test_adobe_rgb_that_only_exif_tells_becomes_srgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 2
    stored = (117, 200, 62)  # Adobe RGB of (40, 200, 40)
    Image.new("RGB", (32, 32), stored).save(path := tmp_path / "p.jpg", quality=98, exif=exif)
    assert np.abs(written(path)[16, 16] - GREEN).max() <= 8


@pytest.mark.parametrize(
    ("peak", "full"), [(200, 255), (2768, 4095), (16000, 16383), (65535, 65535)]
)
def test_deep_pictures_of_a_set_share_the_white_of_the_bits_in_use(
    tmp_path: Path, peak: int, full: int
) -> None:
    for name, value in (("bright", peak), ("dark", peak // 4)):
        Image.fromarray(np.full((40, 60), value, np.uint16)).save(tmp_path / f"{name}.tif")
    found = photos.check(sorted(tmp_path.iterdir()))
    white = White.of(photo.depth for photo in found)
    assert white.integers == full
    bright = written(tmp_path / "bright.tif", white=white)[5, 5, 0]
    dark = written(tmp_path / "dark.tif", white=white)[5, 5, 0]
    assert bright == pytest.approx(255 * peak / full, abs=1)
    assert dark == pytest.approx(bright / 4, abs=1)


def test_sixteen_bit_colours_keep_what_twelve_bits_hold(tmp_path: Path) -> None:
    values = np.full((16, 16, 3), (2048, 1024, 512), np.uint16)
    frame = av.VideoFrame.from_ndarray(values, format="rgb48le")
    with av.open(str(tmp_path / "deep.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb48be"
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    found = photos.check([tmp_path / "deep.png"])
    assert found[0].depth is not None and found[0].depth.peak == 2048
    seen = written(tmp_path / "deep.png", white=White(4095))[8, 8]
    assert np.abs(seen - [128, 64, 32]).max() <= 3


@pytest.mark.parametrize("peak", [0.02, 0.9, 3.2, 900.0])
def test_float_pictures_are_bright_enough(tmp_path: Path, peak: float) -> None:
    ramp = np.linspace(0, peak, 40 * 60, dtype=np.float32).reshape(40, 60)
    Image.fromarray(ramp).save(path := tmp_path / "f.tif")
    assert written(path).max() > 200


def test_exif_that_can_not_be_written_again_gives_way_to_the_cameras(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "C"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = 35.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(70_000)
    Image.new("RGB", (60, 40)).save(path := tmp_path / "p.webp", exif=exif.tobytes())
    result = photos.write_normalised(path, tmp_path / "out.jpg")
    assert "EXIF" in result.remark
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (40, 60)
        assert image.getexif()[ExifTags.Base.Model] == "C"
        detail = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert float(detail[ExifTags.Base.FocalLength]) == 35.0
        assert ExifTags.Base.MakerNote not in detail


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", range(8))
def test_no_damage_of_exif_stops_a_photo(tmp_path: Path, case: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = 35.0
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    data = bytearray(exif.tobytes())
    random = np.random.default_rng(case)
    for place in random.integers(14, len(data), 24):
        data[place] = random.integers(256)
    Image.new("RGB", (60, 40)).save(path := tmp_path / "p.jpg", exif=bytes(data))
    assert written(path).shape in ((60, 40, 3), (40, 60, 3))


def test_transparent_pixels_become_a_mask(tmp_path: Path) -> None:
    image = Image.new("RGBA", (60, 40), (200, 20, 20, 255))
    image.paste((0, 0, 0, 0), (0, 0, 30, 40))
    image.save(path := tmp_path / "p.webp", lossless=True)
    mask = photos.write_normalised(path, tmp_path / "out.jpg").mask
    assert mask is not None
    assert mask.getpixel((5, 5)) == 0 and mask.getpixel((50, 5)) == 255


@pytest.mark.parametrize(("name", "tag"), [("a.DNG", None), ("a.NEF", None), ("a.tif", 50706)])
def test_a_raw_file_is_no_photo_though_its_preview_opens(
    tmp_path: Path, name: str, tag: int | None
) -> None:
    tags = {tag: b"\x01\x04\x00\x00"} if tag else {}
    for number in range(3):
        Image.new("RGB", (60, 40)).save(tmp_path / f"{number}.jpg")
    Image.new("RGB", (16, 12)).save(tmp_path / name, format="TIFF", tiffinfo=tags)
    found = sources.examine(tmp_path)
    assert len(found.photos) == 3
    assert any(name in remark and "raw" in remark for remark in found.remarks)


def test_the_same_photo_in_two_formats_counts_once(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (60, 40)).save(tmp_path / f"{number}.jpg")
        Image.new("RGB", (60, 40)).save(tmp_path / f"{number}.heic", format="HEIF")
    found = sources.examine(tmp_path)
    assert [photo.path.suffix for photo in found.photos] == [".jpg"] * 3
    assert any("another format" in remark for remark in found.remarks)


def test_reference_white_of_hlg_and_pq_is_nearly_white_and_grey_stays_grey() -> None:
    for transfer, signal in ((Transfer.HLG, 0.75), (Transfer.PQ, 0.5807)):
        for share in (1.0, 0.6):
            pixels = np.full((1, 1, 3), round(65535 * signal * share), np.uint16)
            seen = colour.to_srgb(pixels, transfer, Primaries.BT2020)[0, 0].astype(int)
            assert np.ptp(seen) <= 2
        white = np.full((1, 1, 3), round(65535 * signal), np.uint16)
        assert 240 <= colour.to_srgb(white, transfer, Primaries.BT2020)[0, 0, 0] <= 252
    brightest = np.full((1, 1, 3), 65535, np.uint16)
    assert colour.to_srgb(brightest, Transfer.HLG, Primaries.BT2020).min() >= 250


def film(path: Path, images: list[np.ndarray], aspect: Fraction | None = None, **how: str) -> Path:
    codec = "mpeg2video" if path.suffix == ".mkv" else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=how)
        stream.bit_rate = 4_000_000
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 128), (Fraction(3, 4), 72)])
def test_pixels_of_a_film_become_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = film(tmp_path / "f.mp4", [np.full((64, 96, 3), 99, np.uint8)] * 3, aspect)
    facts = video.read_facts(path)
    assert (facts.width, facts.height) == (width, 64)
    assert "pixels" in facts.remarks[0]
    assert next(video.decode(path)).image.size == (width, 64)


def test_fields_of_interlaced_film_are_made_whole(tmp_path: Path) -> None:
    """A bar that moves is in other places in the odd and the even lines of one frame."""
    images = []
    for number in range(6):
        image = np.zeros((64, 96, 3), np.uint8)
        image[::2, 8 * number : 8 * number + 16] = 255
        image[1::2, 8 * number + 8 : 8 * number + 24] = 255
        images.append(image)
    path = film(tmp_path / "f.mkv", images, flags="+ildct+ilme")
    assert any("interlaced" in remark for remark in video.read_facts(path).remarks)
    frames = list(video.decode(path))
    assert [frame.index for frame in frames] == list(range(6))
    combed = np.abs(np.diff(np.asarray(frames[3].image.convert("L")).astype(int), axis=0)).mean()
    assert combed < 0.4 * np.abs(np.diff(images[3][..., 0].astype(int), axis=0)).mean()


@pytest.mark.parametrize("first", [True, False])
def test_a_poster_is_not_the_film(tmp_path: Path, first: bool) -> None:
    path = tmp_path / "f.mov"
    with av.open(str(path), "w") as container:
        sizes = [(32, 32, 1), (64, 96, 8)] if first else [(64, 96, 8), (32, 32, 1)]
        streams = []
        for height, width, count in sizes:
            stream = container.add_stream("mpeg4", rate=10)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            streams.append((stream, height, width, count))
        for stream, height, width, count in streams:
            for _ in range(count):
                frame = av.VideoFrame.from_ndarray(
                    np.zeros((height, width, 3), np.uint8), format="rgb24"
                )
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    facts = video.read_facts(path)
    assert (facts.frames, facts.width, facts.height) == (8, 96, 64)
