"""Parts of a mesh: what is told of them, and which loose ones go."""

import numpy as np
import pytest
import trimesh

from maquette.recon.mesh.loose_parts import drop_loose
from maquette.recon.mesh.parts import parts_of, remark_on
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene.transforms import Frame, Intrinsics
from synthetic_scene import look_at

BOX = np.array([[-1.0, 1.0]] * 3)
WIDE = Intrinsics(160, 160, 100.0, 100.0, 80.0, 80.0)


def ball(radius, at, subdivisions=3):
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    made.apply_translation(at)
    return made


def joined(*parts):
    whole = trimesh.util.concatenate(parts)
    return TriangleMesh(np.asarray(whole.vertices), np.asarray(whole.faces, np.int32))


def ring(count=24, lift=1.2, lens=WIDE):
    turns = 2 * np.pi * np.arange(count) / count
    eyes = [np.array([2.6 * np.cos(turn), 2.6 * np.sin(turn), lift]) for turn in turns]
    return [
        Frame(f"images/{number}.png", look_at(eye, np.zeros(3)), lens)
        for number, eye in enumerate(eyes)
    ]


def drop(mesh, frames, box=BOX):
    return drop_loose(mesh, frames, lambda number: None, 0.01, box)


OBJECT = ball(0.5, [0, 0, 0], 4)
KEY = ball(0.024, [0.53, 0.0, 0.05])  # as the owl's key: 4.8 % as long, a gap a quarter of that


def test_parts_are_measured_the_largest_first():
    parts = parts_of(joined(KEY, OBJECT))
    assert parts.count == 2
    assert parts.faces.tolist() == [len(OBJECT.faces), len(KEY.faces)]
    assert parts.lengths == pytest.approx([1.0, 0.048], rel=0.02)
    assert parts.areas[1] == pytest.approx(0.048**2, rel=0.05)
    assert (parts.of_vertex[: len(KEY.vertices)] == 1).all()
    nothing = parts_of(TriangleMesh(np.zeros((2, 3)), np.zeros((0, 3), np.int32)))
    assert (nothing.count, nothing.largest_share, remark_on(nothing)) == (0, 0.0, "")


def test_only_crumbs_are_worth_keeping_the_largest_part_alone():
    assert remark_on(parts_of(joined(OBJECT))) == ""
    crumbs = remark_on(parts_of(joined(OBJECT, ball(0.004, [0.9, 0, 0]), ball(0.005, [0, 0.9, 0]))))
    assert "3 separate parts; all but the largest are crumbs of at most 0.01%" in crumbs
    assert crumbs.endswith("KEEP_LCC=1 drops them")
    key = remark_on(parts_of(joined(OBJECT, KEY, ball(0.004, [0.9, 0, 0]))))
    assert "the second has 0.23% of the surface and is 4.8% as long as the largest" in key
    assert "look at it before you use KEEP_LCC=1" in key
    long = trimesh.creation.box([0.3, 0.001, 0.001])
    long.apply_translation([0, 0.8, 0])
    assert "crumbs" not in remark_on(parts_of(joined(OBJECT, long))), "a wire is no crumb"


def test_a_small_real_part_that_the_photos_see_stays():
    mesh = joined(OBJECT, KEY)
    left = drop(mesh, ring())
    assert left.mesh is mesh
    assert left.numbers == {"loose_parts_dropped": 0}
    assert not left.remark


@pytest.mark.parametrize(
    ("at", "box"),
    [([0.0, 0.97, 0.0], BOX), ([0.0, 0.57, 0.0], BOX * [[1, 1], [1, 0.6], [1, 1]])],
)
def test_a_small_part_that_the_region_cuts_goes(at, box):
    left = drop(joined(OBJECT, KEY, ball(0.03, at)), ring(), box)
    assert parts_of(left.mesh).count == 2
    assert left.numbers["loose_parts_dropped"] == 1
    assert left.numbers["loose_faces_dropped"] == 1280
    assert left.remark.startswith("dropped 1 loose part, 0.4% of the surface")


def test_what_all_the_photos_see_stays_at_the_rim_too():
    above = [
        Frame(f"images/{n}.png", look_at(np.array([0.1 * n, 0.1, 2.6]), np.zeros(3)), WIDE)
        for n in range(-6, 7)
    ]
    mesh = joined(OBJECT, ball(0.03, [0.0, 0.0, 0.965]))
    assert drop(mesh, above).mesh is mesh


def test_a_larger_part_goes_only_where_two_photos_alone_see_it():
    """A ball behind the object that all look at but two."""
    part = joined(OBJECT, ball(0.15, [0.0, 0.0, -0.75]))  # 9 % of the area, 30 % as long
    over = [Frame(f"images/{n}.png", look_at(np.array(eye), np.zeros(3)), WIDE)
            for n, eye in enumerate([[0.1 * k, 0.1, 2.6] for k in range(-4, 5)])]  # fmt: skip
    beside = [Frame(f"images/s{n}.png", look_at(np.array([2.6, 0.2 * n, -0.75]), np.zeros(3)), WIDE)
              for n in range(4)]  # fmt: skip
    assert parts_of(drop(part, [*over, *beside[:2]]).mesh).count == 1
    assert drop(part, [*over, *beside]).mesh is part
    assert drop(part, beside[:2]).mesh is part, "where there are no more photos, two are not few"


def test_what_lies_close_or_is_large_stays_whoever_sees_it():
    one = ring(2)
    close = joined(OBJECT, ball(0.03, [0.0, 0.0, -0.535]))
    assert drop(close, one).mesh is close
    large = joined(OBJECT, ball(0.3, [0.0, 0.0, -0.85]))
    assert drop(large, one).mesh is large
