"""Photos of every kind become upright 8-bit RGB JPEGs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFilter, ImageOps

from maquette.errors import BadInput
from maquette.recon.frames import content, photos, sharpness
from maquette.recon.frames.exif import orientation as orientation_of

SIZE = (60, 40)


def picture() -> Image.Image:
    """Red top left, green top right, blue below."""
    image = Image.new("RGB", SIZE, "blue")
    image.paste((220, 20, 20), (0, 0, 30, 20))
    image.paste((20, 200, 20), (30, 0, 60, 20))
    return image


def normalised(path: Path) -> Image.Image:
    target = path.with_name("out.jpg")
    photos.write_normalised(path, target)
    with Image.open(target) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        return image.copy()


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "BMP"])
def test_every_format_is_read_by_content_whatever_its_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / "photo.png"
    picture().save(path, format=form, quality=95)
    assert content.kind_of(path) == "photo"
    assert photos.check([path])[0].width == SIZE[0]
    assert difference(normalised(path), picture()) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_and_the_focal_length_survives(
    tmp_path: Path, orientation: int
) -> None:
    operations = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
                  4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
                  6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
                  8: Image.Transpose.ROTATE_270}  # fmt: skip
    stored = picture().transpose(operations[orientation]) if orientation > 1 else picture()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = 35.0
    stored.save(path := tmp_path / "p.jpg", quality=95, exif=exif.tobytes())
    assert (photos.read_facts(path).width, photos.read_facts(path).height) == SIZE
    result = normalised(path)
    assert difference(result, picture()) < 6
    with Image.open(tmp_path / "out.jpg") as image:
        assert orientation_of(image) == 1
        detail = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert float(detail[ExifTags.Base.FocalLength]) == 35.0


def test_an_upright_jpeg_is_copied_byte_for_byte(tmp_path: Path) -> None:
    picture().save(path := tmp_path / "p.jpg", quality=80)
    photos.write_normalised(path, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes() == path.read_bytes()


def test_transparency_becomes_white(tmp_path: Path) -> None:
    image = picture().convert("RGBA")
    image.putalpha(0)
    image.save(path := tmp_path / "p.png")
    assert normalised(path).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0x8080, 128), (0xFFFF, 255)])
def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path, value: int, expected: int) -> None:
    deep = np.full((40, 60), value, np.uint16)
    deep[0, 0] = 0xFFFF
    Image.fromarray(deep).save(path := tmp_path / "p.png")
    assert normalised(path).getpixel((40, 30)) == (expected,) * 3


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    picture().convert(mode).save(path := tmp_path / "p", format=form)
    assert normalised(path).size == SIZE


def test_all_damaged_photos_are_named_together(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:20_000])
    (tmp_path / "c.jpg").write_bytes(b"")
    with pytest.raises(BadInput, match="2 of 3 photos") as caught:
        photos.check(sorted(tmp_path.iterdir()))
    assert "b.jpg" in caught.value.detail
    assert "`c.jpg`: it is empty" in caught.value.detail
    assert caught.value.hint


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(0, 600))
def test_even_choice_is_sorted_unique_and_spread(count: int, wanted: int) -> None:
    chosen = photos.evenly(count, wanted)
    assert len(set(chosen)) == len(chosen) == (count if wanted == 0 or wanted >= count else wanted)
    assert chosen == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < count
    steps = np.diff(chosen)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


def test_blur_lowers_sharpness_and_size_hardly_matters() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8))
    image = noise.filter(ImageFilter.GaussianBlur(1))
    values = [sharpness.sharpness(image.filter(ImageFilter.GaussianBlur(r))) for r in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]
    assert sharpness.sharpness(ImageOps.mirror(image)) == pytest.approx(values[0])


def test_laplacian_variance_against_a_slow_twin() -> None:
    grey = np.random.default_rng(1).uniform(0, 255, (9, 7))
    slow = [
        grey[y - 1, x] + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1] - 4 * grey[y, x]
        for y in range(1, 8)
        for x in range(1, 6)
    ]
    assert sharpness.laplacian_variance(grey) == pytest.approx(np.var(slow))
    assert sharpness.laplacian_variance(np.zeros((2, 2))) == 0
