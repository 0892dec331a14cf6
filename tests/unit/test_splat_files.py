"""Files of splats: what is written comes back, here and in another program."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from maquette.errors import BadInput, NotFound
from maquette.recon.mesh.gltf_file import StoredFile
from maquette.recon.mesh.upright import rotation_between
from maquette.recon.splats.files.codebooks import nearest_values, values_codebook, vectors_codebook
from maquette.recon.splats.files.glb import write_glb
from maquette.recon.splats.files.ply import read_ply, write_ply
from maquette.recon.splats.files.ply_header import read_comments
from maquette.recon.splats.files.sog import position_bits, write_sog
from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.files.splat import ROW_BYTES, read_splat, write_splat
from maquette.recon.splats.files.spz import read_spz, write_spz
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import by_importance, importance
from maquette.recon.splats.kernels.checks import camera_before
from maquette.recon.splats.morton import morton_order
from maquette.recon.splats.projection import rotation_matrices
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.symmetry import least_turned
from maquette.recon.splats.turning import turned
from splat_scene import lopsided

Write = Callable[[Path, Gaussians], None]
Read = Callable[[Path], Gaussians]
FORMATS: dict[str, tuple[Write, Read]] = {
    "ply": (write_ply, read_ply),
    "splat": (write_splat, read_splat),
    "sog": (write_sog, read_sog),
    "spz": (write_spz, read_spz),
}
HALF_AROUND_X = np.diag([1.0, -1.0, -1.0])


def differences(found: Gaussians, wanted: Gaussians) -> dict[str, float]:
    """The largest of each parameter, as a viewer uses it."""
    pairs = {
        "means": (found.means, wanted.means),
        "log_scales": (found.log_scales, wanted.log_scales),
        "opacities": (found.opacities, wanted.opacities),
        "colors": (found.base_colors.clip(0, 1), wanted.base_colors.clip(0, 1)),
    }
    sizes = {name: float((one - other).abs().max()) for name, (one, other) in pairs.items()}
    angle = 1 - (found.rotations * wanted.rotations).sum(dim=1).abs().min()
    return sizes | {"rotations": float(angle)}


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_ply_file_keeps_every_bit(tmp_path: Path, degree: int) -> None:
    wanted = lopsided(degree=degree)
    write_ply(tmp_path / "a.ply", wanted, ["one", "two words"])
    found = read_ply(tmp_path / "a.ply")
    for name, tensor in wanted.tensors():
        assert torch.equal(tensor, getattr(found, name)), name
    assert read_comments(tmp_path / "a.ply") == ["one", "two words"]


def test_a_ply_file_has_the_order_that_others_expect(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", lopsided(3, degree=1))
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")[0].decode()
    names = [line.split()[-1] for line in header.splitlines() if line.startswith("property")]
    rest = [f"f_rest_{index}" for index in range(9)]
    assert names == [
        "x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, "opacity",
        "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3",
    ]  # fmt: skip


def test_the_front_of_a_splat_file_is_its_most_important_part(tmp_path: Path) -> None:
    wanted = lopsided()
    write_splat(tmp_path / "a.splat", wanted)
    (tmp_path / "b.splat").write_bytes((tmp_path / "a.splat").read_bytes()[: 100 * ROW_BYTES])
    found, best = read_splat(tmp_path / "b.splat"), by_importance(wanted)
    assert torch.equal(found.means, best.means[:100])
    assert importance(best)[:100].min() >= importance(best)[100:].max()


@pytest.mark.parametrize(
    ("suffix", "limits"),
    [
        ("splat", {"means": 0, "log_scales": 1e-5, "opacities": 3e-3, "colors": 3e-3}),
        ("sog", {"means": 1e-2, "log_scales": 0.07, "opacities": 0.02, "colors": 0.02}),
        ("spz", {"means": 2e-4, "log_scales": 0.04, "opacities": 3e-3, "colors": 0.01}),
    ],
)
def test_what_is_written_comes_back(tmp_path: Path, suffix: str, limits: dict[str, float]) -> None:
    write, read = FORMATS[suffix]
    wanted = lopsided()
    write(tmp_path / f"a.{suffix}", wanted)
    ordered = {
        "splat": by_importance(wanted),
        "sog": least_turned(wanted.chosen(morton_order(wanted.means))),
        "spz": wanted,
    }
    found = differences(read(tmp_path / f"a.{suffix}"), ordered[suffix])
    assert all(found[name] <= limit for name, limit in limits.items()), found
    assert found["rotations"] < (4e-4 if suffix == "sog" else 2e-4)


@pytest.mark.parametrize("suffix", ["sog", "spz"])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_any_degree_comes_back(tmp_path: Path, suffix: str, degree: int) -> None:
    write, read = FORMATS[suffix]
    write(tmp_path / f"a.{suffix}", lopsided(degree=degree))
    assert read(tmp_path / f"a.{suffix}").degree == degree


def test_colors_that_depend_on_direction_come_back(tmp_path: Path) -> None:
    """A palette that has a place for each Gaussian loses only the codebook's rounding."""
    wanted = lopsided(60)
    write_sog(tmp_path / "a.sog", wanted)
    ordered = wanted.chosen(morton_order(wanted.means))
    apart = (read_sog(tmp_path / "a.sog").sh - ordered.sh).abs()
    assert float(apart[:, 0].max()) <= 0.0505 and float(apart[:, 1:].max()) < 0.02
    write_spz(tmp_path / "a.spz", wanted)
    found = read_spz(tmp_path / "a.spz").sh
    assert float((found[:, 1:4] - wanted.sh[:, 1:4]).abs().max()) <= 4.5 / 128
    assert float((found[:, 4:] - wanted.sh[:, 4:]).abs().max()) <= 8.5 / 128


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_gaussian_is_enough(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    write(tmp_path / f"a.{suffix}", lopsided(1))
    found = read(tmp_path / f"a.{suffix}")
    assert differences(found, lopsided(1))["means"] < 1e-3


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_in_half_is_told_in_a_sentence(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    path = tmp_path / f"a.{suffix}"
    write(path, lopsided(101))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="cut off"):
        read(path)
    path.unlink()
    with pytest.raises(NotFound, match="no splats"):
        read(path)


def test_a_ply_file_of_other_things_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    path.write_bytes(
        b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\n"
        b"property float y\nproperty float z\nend_header\n" + bytes(12)
    )
    with pytest.raises(BadInput, match="not of splats: its points have no f_dc_0"):
        read_ply(path)
    path.write_bytes(b"PK\x03\x04 anything else")
    with pytest.raises(BadInput, match="no PLY file"):
        read_ply(path)
    path.write_bytes(b"ply\nformat ascii 1.0\nelement vertex 1\nend_header\n")
    with pytest.raises(BadInput, match="binary_little_endian"):
        read_ply(path)
    path.write_bytes(b"ply\nelement vertex many\nend_header\n")
    with pytest.raises(BadInput, match="damaged"):
        read_ply(path)


def test_a_sog_file_is_stored_pictures_that_repeat(tmp_path: Path) -> None:
    for name in ("a.sog", "b.sog"):
        write_sog(tmp_path / name, lopsided())
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.sog") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        meta = json.loads(archive.read("meta.json"))
        named = {name for part in meta.values() if isinstance(part, dict)
                 for name in part.get("files", ())}  # fmt: skip
        assert {*named, "meta.json"} == set(archive.namelist())
    assert (meta["version"], meta["count"], meta["shN"]["bands"]) == (2, 600, 3)


def test_a_glb_file_is_upright_and_activated(tmp_path: Path) -> None:
    wanted = lopsided(50)
    write_glb(tmp_path / "a.glb", wanted, np.array([0.0, -2.0, 0.0]), "name")
    file = StoredFile(tmp_path / "a.glb")
    (primitive,) = file.document["meshes"][0]["primitives"]
    assert file.document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    found = {key.rpartition(":")[2]: file.array(place)
             for key, place in primitive["attributes"].items()}  # fmt: skip
    assert np.allclose(found["POSITION"][:, 1], -wanted.means[:, 1], atol=1e-6)
    assert np.allclose(np.linalg.norm(found["ROTATION"], axis=1), 1, atol=1e-5)
    assert np.allclose(found["SCALE"], wanted.scales)
    assert np.allclose(found["OPACITY"], wanted.opacities)
    assert sum(key.startswith("SH_DEGREE_") for key in found) == 16
    assert len(found["COLOR_0"]) == 50


def read_glb(path: Path) -> Gaussians:
    """What a reader of glTF finds, before it turns anything."""
    file = StoredFile(path)
    (primitive,) = file.document["meshes"][0]["primitives"]
    found = {key.rpartition(":")[2]: torch.tensor(np.array(file.array(place)))
             for key, place in primitive["attributes"].items()}  # fmt: skip
    sh = [found[f"SH_DEGREE_{degree}_COEF_{index}"]
          for degree in range(4) for index in range(2 * degree + 1)]  # fmt: skip
    return Gaussians(
        found["POSITION"], found["SCALE"].log(), found["ROTATION"][:, [3, 0, 1, 2]],
        torch.logit(found["OPACITY"].reshape(-1)), torch.stack(sh, dim=1),
    )  # fmt: skip


def test_a_camera_sees_the_same_in_every_format(tmp_path: Path) -> None:
    """Positions, axes and colours together: a flip or swap in one format changes its picture."""
    wanted, camera = lopsided(300), camera_before(64, 48, torch.device("cpu"))
    wanted.means[:] = (wanted.means - wanted.means.mean(0)) + torch.tensor([0.3, -0.2, 5.0])
    wanted.log_scales += 1.5
    up = np.array([0.2, -0.9, 0.4])
    picture = render(wanted, camera).color
    without_direction = render(wanted.with_degree(0), camera).color
    for suffix, (write, read) in FORMATS.items():
        write(tmp_path / f"a.{suffix}", wanted)
        true = without_direction if suffix == "splat" else picture
        seen = render(read(tmp_path / f"a.{suffix}"), camera).color
        assert float((seen - true).abs().mean()) < 0.03, suffix
    write_glb(tmp_path / "a.glb", wanted, up, "a")
    back = rotation_between(np.array([0.0, 1.0, 0.0]), up / np.linalg.norm(up))
    seen = render(turned(read_glb(tmp_path / "a.glb"), back), camera).color
    assert float((seen - picture).abs().mean()) < 1e-3
    flipped = turned(wanted, HALF_AROUND_X)
    assert float((render(flipped, camera).color - picture).abs().mean()) > 0.1


def test_the_least_turned_way_is_the_same_gaussian() -> None:
    wanted = lopsided(200)
    found = least_turned(wanted)
    axes = [rotation_matrices(g.rotations) * g.scales[:, None] for g in (wanted, found)]
    before, after = (a @ a.transpose(1, 2) for a in axes)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-6)
    assert (found.rotations[:, 0].abs() >= wanted.rotations[:, 0].abs() - 1e-6).all()
    assert found.rotations[:, 0].abs().min() > 0.85, "no rotation is further from the world's"


def test_positions_have_the_bits_that_small_gaussians_need() -> None:
    spread = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    spans = np.full(3, 2.0)
    few, many = (position_bits(spread, spans, np.full(500, s)) for s in (0.015, 0.00015))
    assert (few, many) == (10, 15)


def test_a_codebook_of_values_beats_even_steps() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32) ** 3
    book = values_codebook(values)
    assert len(book) == 256 and (np.diff(book) >= 0).all()
    even = np.linspace(values.min(), values.max(), 256).astype(np.float32)
    error, of_even = (np.square(b[nearest_values(values, b)] - values).mean() for b in (book, even))
    assert error < 0.1 * of_even


def test_a_palette_finds_the_vectors_that_are_there() -> None:
    draws = torch.Generator().manual_seed(0)
    true = torch.randn(50, 9, generator=draws) * 5
    vectors = true[torch.randint(50, (4000,), generator=draws)]
    vectors = vectors + 0.01 * torch.randn(vectors.shape, generator=draws)
    palette, labels = vectors_codebook(vectors, 400, seed=0)
    assert len(palette) <= 400
    assert float((palette[labels] - vectors).norm(dim=1).mean()) < 0.2


@pytest.mark.parametrize("suffix", FORMATS)
def test_another_program_reads_the_same(tmp_path: Path, suffix: str) -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="pip install -e 'python[dev]'")
    write, read = FORMATS[suffix]
    path = tmp_path / f"a.{suffix}"
    write(path, lopsided())
    converted = gaussforge.GaussForge().convert(path.read_bytes(), suffix, "ply")
    (tmp_path / "theirs.ply").write_bytes(converted["data"])
    theirs, ours = read_ply(tmp_path / "theirs.ply"), read(path)
    if suffix == "spz":  # it leaves the file's own axes
        theirs = turned(theirs, HALF_AROUND_X)
    found = differences(theirs, ours)
    assert max(found.values()) < 2e-3, found
    assert float((theirs.sh - ours.sh).abs().max()) < 1e-5
