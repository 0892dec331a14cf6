"""The contact sheet: what it shows, how large, from where."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.pictures.capture import Cameras, Manner, arc_of, is_circled, manner_of
from maquette.recon.pictures.contact_sheet import draw_sheet, lay_out, plan
from maquette.recon.pictures.framing import set_stage, share_in_view
from maquette.recon.pictures.occlusion import vertex_openness
from maquette.recon.pictures.rasterise import Materials, View, draw
from maquette.recon.pictures.viewpoints import views_of
from maquette.scene.region import Region

REGION = Region.around([10.0, 0.0, 0.0], 4.0)
CENTER = np.array(REGION.center)
UP = np.array([0.0, 1.0, 0.0])
FRONT = np.array([10.0, 2.0, 8.0])


def looking(eyes, targets):
    """Level cameras at points, that look at others; named by their numbers."""
    poses = np.tile(np.eye(4), (len(eyes), 1, 1))
    for pose, eye, target in zip(poses, eyes, targets, strict=True):
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, UP if abs(forward @ UP) < 0.99 else [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        pose[:3, 3] = eye
    return Cameras(poses, np.full(len(eyes), 0.5), tuple(f"{n}.jpg" for n in range(len(eyes))))


def ring(first_deg, last_deg, count=24, height=3.0, distance=9.0):
    """Cameras round the region that look at its middle; 0° lies on the world's +z."""
    angle = np.radians(np.linspace(first_deg, last_deg, count))
    around = np.stack([np.sin(angle), np.full(count, height / distance), np.cos(angle)], axis=1)
    return looking(CENTER + distance * around, np.tile(CENTER, (count, 1)))


def grid(down=True):
    """A flight over the region: rows of parallel views."""
    x, z = (line.ravel() for line in np.meshgrid(np.linspace(-4, 4, 5), np.linspace(-4, 4, 4)))
    eyes = CENTER + np.stack([x, np.full_like(x, 8.0), z], axis=1)
    return looking(eyes, eyes - 8 * UP)


def room():
    """From about the middle of the region into all directions."""
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    eyes = CENTER + 0.8 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    return looking(eyes, CENTER + 2 * (eyes - CENTER))


def street():
    """A walk through the region and on, that looks ahead."""
    eyes = CENTER + np.linspace(12, -8, 20)[:, None] * np.array([0.0, 0.0, 1.0])
    return looking(eyes, eyes - [0.0, 0.0, 5.0])


def wall_walk():
    """A walk along a wall that looks at it."""
    eyes = CENTER + [0, 0, 6] + np.linspace(-9, 9, 20)[:, None] * np.array([1.0, 0.0, 0.0])
    return looking(eyes, eyes - [0.0, 0.0, 5.0])


def merged(*parts):
    joined = trimesh.util.concatenate(parts)
    normals = np.asarray(joined.vertex_normals)
    return TriangleMesh(np.asarray(joined.vertices), np.asarray(joined.faces), normals)


def ball(radius=0.8, at=(10.0, 0.0, 0.0)):
    made = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    made.apply_translation(at)
    return made


def ground(y=-0.8, half=3.5, cells=60):
    line = np.linspace(-half, half, cells)
    x, z = np.meshgrid(line + 10.0, line, indexing="ij")
    vertices = np.stack([x, np.full_like(x, y), z], axis=-1).reshape(-1, 3)
    number = np.arange(cells * cells).reshape(cells, cells)
    a, b, c, d = (
        n.ravel() for n in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:])
    )
    faces = np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])
    return trimesh.Trimesh(vertices, faces, process=False)


def test_the_object_is_framed_and_its_ground_is_not():
    alone = set_stage(merged(ball()), REGION, UP, FRONT)
    standing = set_stage(merged(ball(), ground()), REGION, UP, FRONT)
    assert alone.ground is None
    assert standing.ground is not None
    assert standing.ground < -0.8
    for staged in (alone, standing):
        shown = staged.mesh.vertices[staged.subject]
        assert np.linalg.norm(shown, axis=1).max() == pytest.approx(1.0, abs=0.08)


def test_stage_axes_are_up_and_the_first_cameras_side():
    spike = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    spike.apply_translation([10.0, 0.5, 1.5])
    staged = set_stage(merged(ball(), spike), REGION, UP, FRONT)
    tip = staged.mesh.vertices[-1]
    assert tip[0] > 0.5  # FRONT lies on +z of the world, which is x of the stage
    assert abs(tip[1]) < 0.1


@pytest.mark.parametrize(
    ("cameras", "manner", "circled"),
    [
        (ring(0, 345), Manner.AROUND, True),
        (ring(-40, 40), Manner.AROUND, False),
        (grid(), Manner.FACING, False),
        (room(), Manner.WITHIN, False),
        (street(), Manner.WITHIN, False),
        (wall_walk(), Manner.WITHIN, False),
    ],
)
def test_how_it_was_filmed_is_told_from_the_cameras(cameras, manner, circled):
    assert manner_of(cameras, REGION) is manner
    assert is_circled(cameras, REGION, UP) == circled


@pytest.mark.parametrize("turn", [0.0, 100.0, 190.0])
def test_an_arc_is_shown_from_its_middle_to_its_ends_and_never_from_behind(turn):
    mesh = merged(ball())
    for width, count in ((60, 3), (120, 5), (250, 7)):
        cameras = ring(turn - width / 2, turn + width / 2)
        staged, viewpoints = plan(mesh, REGION, UP, cameras)
        assert len(viewpoints) == count
        moved = cameras.moved(staged.rotation, staged.origin, staged.scale)
        shown = np.degrees([np.arctan2(one.eye[1], one.eye[0]) for one in viewpoints])
        assert viewpoints[0].label == "front"
        assert shown[0] == pytest.approx(0, abs=1)
        assert np.abs(shown).max() == pytest.approx(width / 2, abs=2)
        assert viewpoints[1].label == f"{round(width / 2)}° left"
        assert arc_of(moved.eyes).width == pytest.approx(np.radians(width), abs=0.02)


def test_a_round_is_shown_from_eight_sides_the_busiest_first():
    even = plan(merged(ball()), REGION, UP, ring(30, 375))
    assert [one.label for one in even[1]] == ["front", *(f"{45 * n}°" for n in range(1, 8))]
    first = even[0].rotation @ (ring(30, 375).eyes[0] - CENTER)
    assert np.degrees(np.arctan2(first[1], first[0])) == pytest.approx(0, abs=1)
    busy, sparse = ring(80, 100, 30), ring(0, 345, 12)
    both = Cameras(
        np.concatenate([sparse.world_from_cam, busy.world_from_cam]), np.full(42, 0.5), ("",) * 42
    )
    staged, _ = plan(merged(ball()), REGION, UP, both)
    assert staged.rotation[0] @ np.array([1.0, 0.0, 0.0]) > 0.95, "90° lies on the world's +x"


def test_a_round_view_is_as_high_as_the_cameras_and_shows_nothing_behind_them():
    staged, viewpoints = plan(merged(ball()), REGION, UP, ring(0, 345, height=0.0, distance=2.4))
    for one in viewpoints:
        assert one.eye[2] == pytest.approx(0, abs=0.05)
        assert np.linalg.norm(one.eye) - one.near == pytest.approx(2.4 / staged.scale, rel=0.01)


def test_a_flight_is_shown_straight_and_obliquely():
    cameras = grid()
    _, (straight, *oblique) = plan(merged(ground(half=2.8)), REGION, UP, cameras)
    assert straight.label == "as filmed"
    assert straight.eye[2] == pytest.approx(5)
    assert len(oblique) == 4
    assert all(one.eye[2] == pytest.approx(5 / np.sqrt(2)) for one in oblique)
    turned = looking(cameras.eyes, cameras.eyes - 8 * UP)
    guessed_up = np.array([0.0, 0.0, 1.0])  # what a straight look down tells of up: nothing
    staged, _ = plan(merged(ground(half=2.8)), REGION, guessed_up, turned)
    assert staged.rotation[2] @ UP == pytest.approx(1)


def test_a_room_and_a_street_are_seen_as_photos_saw_them():
    inner = trimesh.creation.box([5.0, 2.0, 5.0])
    inner.invert()
    inner.apply_translation(CENTER)
    for cameras in (room(), street()):
        staged, viewpoints = plan(merged(inner), REGION, UP, cameras)
        assert len(viewpoints) == 8
        moved = cameras.moved(staged.rotation, staged.origin, staged.scale)
        numbers = [int(one.label.removesuffix(".jpg")) for one in viewpoints]
        assert numbers == sorted(set(numbers))
        for number, one in zip(numbers, viewpoints, strict=True):
            np.testing.assert_allclose(one.eye, moved.eyes[number])
            np.testing.assert_allclose(one.rotation[:, 2], moved.axes[number], atol=1e-9)
            assert one.tangent == 0.5
    assert max(numbers) < 19, "the last photos of the walk look away from all that there is"


def test_what_stands_in_the_region_is_framed_whole_unless_the_region_cuts_it():
    tall = ball(2.0, (10.0, 0.0, 0.0))
    tall.vertices[:, 0] = 10.0 + 1.7 * (tall.vertices[:, 0] - 10.0)  # 3.4 of the radius of 4
    staged = set_stage(merged(tall), REGION, UP, FRONT)
    assert staged.subject.all()
    shell = ball(3.9)
    cut = set_stage(merged(ball(), shell), REGION, UP, FRONT)
    assert np.linalg.norm(cut.mesh.vertices[cut.subject], axis=1).max() < 1.1


def wall():
    """An upright slab as wide as the region, which cuts off its corners."""
    made = trimesh.creation.box([7.6, 7.6, 0.6])
    for _ in range(5):
        made = made.subdivide()
    made.apply_translation(CENTER)
    return made


def test_an_object_that_the_region_cuts_is_framed_whole():
    beside = [ball(0.5, (10.0, 0.0, z)) for z in (-3.5, 3.5)]
    cut = merged(wall(), *beside)
    staged = set_stage(cut, REGION, UP, FRONT)
    inside = np.linalg.norm(cut.vertices - CENTER, axis=1) <= 4.0
    of_wall = np.arange(len(inside)) < len(wall().vertices)
    np.testing.assert_array_equal(staged.subject, inside & of_wall)


def test_of_what_the_region_cuts_the_part_is_framed_that_photos_show():
    eyes = CENTER + [[x, 0.0, 5.0] for x in np.linspace(-0.5, 0.5, 8)]
    near = replace(looking(eyes, np.tile(CENTER, (8, 1))), tangents=np.full(8, 0.3))
    staged = set_stage(merged(wall()), REGION, UP, FRONT, cameras=near)
    shown = merged(wall()).vertices[staged.subject]
    assert share_in_view(shown, near).min() >= 0.5
    assert np.abs(shown[:, 0] - 10.0).max() == pytest.approx(0.3 * 5.0, abs=0.2)


def test_views_hold_the_whole_object_but_not_much_more():
    staged, viewpoints = plan(merged(ball()), REGION, UP, ring(0, 345))
    points = staged.mesh.vertices
    for view in views_of(viewpoints, points, 100):
        assert np.linalg.det(view.rotation) == pytest.approx(1)
        seen = (points - view.eye) @ view.rotation
        x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2] - view.shift
        widest = max(np.abs(x).max(), np.abs(y).max()) / view.tangent
        assert 0.8 < widest < 1.0


def test_the_back_of_a_face_is_darker_but_of_the_same_hue():
    sheet = trimesh.Trimesh([[-9, -9, 0], [9, -9, 0], [0, 9, 0]], [[0, 1, 2]], process=False)
    shown = []
    for side in (1, -1):
        mesh = merged(sheet)
        staged = set_stage(mesh, Region.around([0, 0, 0], 30.0), UP, np.array([0.0, 0.0, 9.0]))
        rotation = np.array([[0.0, 0.0, -side], [side, 0.0, 0.0], [0.0, -1.0, 0.0]])
        view = View(rotation, np.array([side * 4.0, 0.0, 0.0]), 0.1, 0.0, 8)
        materials = Materials.of(staged.mesh.normals, np.ones(3), np.full((3, 3), 0.5))
        shown.append([p[4, 4].astype(int) for p in draw(view, staged, RayScene(mesh), materials)])
    for front, back in zip(*shown, strict=True):
        assert back.max() < 0.85 * front.min()
        assert np.ptp(back) < 25


def test_labels_are_read_on_dark_and_on_light():
    for shade in (0, 128, 255):
        tile = np.full((190, 190, 3), shade, np.uint8)
        sheet = np.asarray(
            lay_out([[tile]], ["a photo with quite a long name, of a camera.jpg"], 190)
        )
        written = sheet[4:24, 4:194]
        assert written.max() > 220
        assert written.min() < 60
        assert (sheet[4:-4, 186:-4] == shade).all(), "it ends within its tile"


def test_openness_is_full_on_a_ball_and_small_in_a_pit():
    # a closed box seen from inside: nothing but walls within reach
    inner = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    inner.invert()
    for made, low, high in ((ball(1.0, (0, 0, 0)), 0.99, 1.0), (inner, 0.0, 0.01)):
        mesh = merged(made)
        openness = vertex_openness(mesh, np.asarray(mesh.normals), RayScene(mesh))
        assert openness.min() >= low
        assert openness.max() <= high


def test_rays_meet_what_geometry_says():
    mesh = merged(ball(1.0, (0, 0, 0)))
    scene = RayScene(mesh)
    origins = np.array([[0, 0, 5.0], [0, 3, 5], [0.5, 0, 5]])
    directions = np.tile([0, 0, -1.0], (3, 1))
    hits = scene.first_hits(origins, directions)
    assert hits.ray.tolist() == [0, 2]
    np.testing.assert_allclose(hits.depth, [4.0, 5 - np.sqrt(0.75)], atol=5e-3)
    corners = mesh.vertices[mesh.faces[hits.face]]
    found = np.einsum("hk,hkc->hc", hits.weights, corners)
    np.testing.assert_allclose(found[:, :2], origins[[0, 2], :2], atol=1e-4)
    assert scene.is_blocked(origins, directions, 10.0).tolist() == [True, False, True]
    assert not scene.is_blocked(origins, directions, 1.0).any()


def test_the_sheet_has_rows_for_colour_and_for_shape():
    plain = merged(ball(), ground())
    red = np.tile([1.0, 0.0, 0.0], (len(plain.vertices), 1))
    colored = TriangleMesh(plain.vertices, plain.faces, plain.normals, red)
    told = []
    around = ring(0, 345)
    sheets = [
        np.asarray(draw_sheet(mesh, REGION, UP, around, lambda *at: told.append(at), 48))
        for mesh in (plain, colored)
    ]
    assert sheets[0].shape == (2 * 52 + 4, 4 * 52 + 4, 3)
    assert sheets[1].shape == (4 * 52 + 4, 4 * 52 + 4, 3)
    assert told[-1] == (8, 8)
    middle = sheets[1][4 + 24, 4 + 24].astype(int)
    assert middle[0] > 150  # the coloured ball
    assert middle[1:].max() < 30
    clay = sheets[1][4 + 2 * 52 + 24, 4 + 24].astype(int)
    assert np.ptp(clay) < 30
    corner = sheets[1][6, 4 + 46].astype(int)
    assert corner.min() > 215  # light grey
    assert np.ptp(corner) == 0


def test_a_sheet_of_a_mesh_without_normals_or_center_is_drawn():
    far = merged(ball(0.5, (13.3, 0.0, 0.0)))
    bare = TriangleMesh(far.vertices, far.faces)
    sheet = np.asarray(draw_sheet(bare, REGION, UP, ring(-30, 30), tile_px=32))
    assert sheet.shape[1] == 3 * 36 + 4
    assert sheet[4 + 16, 4 + 16].max() < 235


def test_uneven_ground_far_from_the_object_is_not_framed():
    rubble = [ball(0.25, (10.0 + x, -0.75, z)) for x in (-3.2, 3.2) for z in (-1.5, 1.5)]
    staged = set_stage(merged(ball(), ground(), *rubble), REGION, UP, FRONT)
    assert staged.scale == pytest.approx(0.8, rel=0.1)
