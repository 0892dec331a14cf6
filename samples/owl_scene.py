"""The Blender scene: the owl, a forest floor, trees far away, sun and sky.

Every texture is a function of position alone, so it looks the same from everywhere, and mixes
noise of many sizes, so that no patch of it repeats.
"""

import bpy
import numpy as np
from mathutils import Matrix

from forest_floor import SIZE_PX, WIDTH, floor_image

STONES = 260
FALLEN_LEAVES = 1300
SUN_HEADING = np.radians(-48.0)  # where the sun stands, from +x towards +y
SUN_FROM_ZENITH = np.radians(42.0)
CLEARING = 0.80  # nothing but flat ground and the owl nearer to the origin than this
LEAF_COLOURS = np.array(
    [[0.55, 0.22, 0.04], [0.62, 0.40, 0.08], [0.30, 0.12, 0.05], [0.45, 0.10, 0.04],
     [0.32, 0.34, 0.06], [0.66, 0.52, 0.25]]
)  # fmt: skip
STONE_COLOURS = np.array([[0.34, 0.32, 0.30], [0.52, 0.48, 0.42], [0.20, 0.19, 0.20]])


# --- materials -----------------------------------------------------------------------------


class Shader:
    """A short way to write a material's node graph."""

    def __init__(self, name, roughness=0.8):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.surface = self.tree.nodes["Principled BSDF"]
        self.surface.inputs["Roughness"].default_value = roughness
        self.surface.inputs["Specular IOR Level"].default_value = 0.25
        self.position = self.tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]

    def link(self, source, target):
        """Connect an output with an input."""
        self.tree.links.new(source, target)

    def noise(self, scale, detail=6.0, roughness=0.62):
        """Noise of position in about [0.3, 0.7]."""
        node = self.tree.nodes.new("ShaderNodeTexNoise")
        node.inputs["Scale"].default_value = scale
        node.inputs["Detail"].default_value = detail
        node.inputs["Roughness"].default_value = roughness
        self.link(self.position, node.inputs["Vector"])
        return node.outputs["Fac"]

    def ramp(self, value, stops):
        """Colours along a value; `stops` are (position, linear RGB)."""
        node = self.tree.nodes.new("ShaderNodeValToRGB")
        while len(node.color_ramp.elements) < len(stops):
            node.color_ramp.elements.new(1.0)
        for element, (position, colour) in zip(node.color_ramp.elements, stops, strict=True):
            element.position = position
            element.color = (*np.broadcast_to(colour, 3), 1.0)
        self.link(value, node.inputs["Fac"])
        return node.outputs["Color"]

    def mix(self, first, second, share, blend="MIX"):
        """Blend of two colours; `share` is a number or an output."""
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", blend
        self.link(first, node.inputs["A"])
        self.link(second, node.inputs["B"])
        if isinstance(share, float):
            node.inputs["Factor"].default_value = share
        else:
            self.link(share, node.inputs["Factor"])
        return node.outputs["Result"]

    def painted(self):
        """The colour stored at the mesh's vertices."""
        node = self.tree.nodes.new("ShaderNodeVertexColor")
        node.layer_name = "paint"
        return node.outputs["Color"]

    def bump(self, height, distance):
        """Shade as if the surface stood out by `height` times `distance` world units."""
        node = self.tree.nodes.new("ShaderNodeBump")
        node.inputs["Distance"].default_value = distance
        self.link(height, node.inputs["Height"])
        self.link(node.outputs["Normal"], self.surface.inputs["Normal"])

    def finish(self, colour):
        """Use `colour` as the surface's and return the material."""
        self.link(colour, self.surface.inputs["Base Color"])
        return self.material


def painted_material(name, grain, contrast, roughness, relief=0.0):
    """The vertex colours, mottled by noise whose largest grains are 1 / `grain` units wide."""
    shader = Shader(name, roughness)
    low, high = 1.0 - contrast, 1.0 + 0.55 * contrast
    fine = shader.ramp(shader.noise(grain, 3.0), [(0.32, low), (0.68, high)])
    colour = shader.mix(shader.painted(), fine, 1.0, "MULTIPLY")
    if relief:
        shader.bump(shader.noise(1.3 * grain, 1.0), relief)
    return shader.finish(colour)


def ground_material():
    """The painted floor, mirrored at its far edges."""
    pixels = np.ones((SIZE_PX, SIZE_PX, 4), np.float32)
    pixels[..., :3] = floor_image() ** (1.0 / 2.2)
    image = bpy.data.images.new("floor", SIZE_PX, SIZE_PX)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    shader = Shader("ground", 0.9)
    scale = shader.tree.nodes.new("ShaderNodeVectorMath")
    scale.operation = "MULTIPLY_ADD"
    scale.inputs[1].default_value = (1.0 / WIDTH,) * 3
    scale.inputs[2].default_value = (0.5,) * 3
    shader.link(shader.position, scale.inputs[0])
    texture = shader.tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.extension = image, "MIRROR"
    shader.link(scale.outputs[0], texture.inputs["Vector"])
    return shader.finish(texture.outputs["Color"])


def forest_material(dark, bright, scale):
    """Blotches of foliage or bark."""
    shader = Shader("forest", 0.95)
    colour = shader.ramp(shader.noise(scale, 5.0, 0.7), [(0.36, dark), (0.64, bright)])
    return shader.finish(colour)


# --- objects -------------------------------------------------------------------------------


def add_mesh(name, vertices, faces, material, colours=None, smooth=True):
    """Link a mesh object whose vertices are already in world units.

    Args:
        name: Name of the object.
        vertices: [V, 3].
        faces: [F, K] indices, or a list of such polygons.
        material: Its material.
        colours: [V, 3] linear RGB, stored as the attribute "paint".
        smooth: Whether normals are interpolated.

    Returns:
        The Blender object.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices).tolist(), [], np.asarray(faces).tolist())
    if colours is not None:
        layer = mesh.color_attributes.new("paint", "FLOAT_COLOR", "POINT")
        opaque = np.concatenate([colours, np.ones((len(colours), 1))], axis=1)
        layer.data.foreach_set("color", opaque.astype(np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.full(len(mesh.polygons), smooth))
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def scatter(random, count, reach):
    """Random places on the ground, denser near the middle, [count, 2]."""
    radius = CLEARING + (reach - CLEARING) * random.random(count) ** 1.7
    angle = random.uniform(0.0, 2.0 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def beyond(place, extent):
    """The place moved outwards, so that a thing of that radius stays out of the clearing."""
    return place * (1.0 + extent / np.linalg.norm(place))


def turned(points, heading):
    """Points turned about z by `heading` radians."""
    cosine, sine = np.cos(heading), np.sin(heading)
    return points @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def joined(copies):
    """One (vertices, faces, colours) from many (vertices, faces, one colour)."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in copies])
    return (
        np.concatenate([vertices for vertices, _, _ in copies]),
        np.concatenate([faces + start for (_, faces, _), start in zip(copies, starts)]),  # noqa: B905
        np.concatenate([np.tile(colour, (len(vertices), 1)) for vertices, _, colour in copies]),
    )


def add_fallen_leaves(random):
    """Curled leaves on the ground, one mesh."""
    outline = np.array([[-1, 0], [-0.4, 0.42], [0.3, 0.38], [1, 0], [0.3, -0.38], [-0.4, -0.42]])
    faces = np.array([[0, 1, 6], [1, 2, 6], [2, 3, 6], [3, 4, 6], [4, 5, 6], [5, 0, 6]])
    copies = []
    for place in scatter(random, FALLEN_LEAVES, 6.5):
        flat = np.concatenate([outline, [[0, 0]]]) * random.uniform(0.035, 0.075)
        height = 0.004 + random.uniform(1.0, 5.0) * (flat**2).sum(axis=1)
        leaf = turned(np.column_stack([flat, height]), random.uniform(0, 6.3))
        colour = LEAF_COLOURS[random.integers(len(LEAF_COLOURS))] * random.uniform(0.6, 1.3)
        copies.append((np.add(leaf, [*beyond(place, np.abs(flat).max()), 0.0]), faces, colour))
    vertices, faces, colours = joined(copies)
    material = painted_material("fallen leaves", 45.0, 0.55, 0.7)
    add_mesh("fallen leaves", vertices, faces, material, colours, smooth=False)


def add_stones(random):
    """Half buried stones, one mesh."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=1.0)
    ball = bpy.context.active_object
    sphere = np.array([vertex.co for vertex in ball.data.vertices])
    faces = np.array([polygon.vertices for polygon in ball.data.polygons])
    bpy.data.objects.remove(ball)
    copies = []
    for place in scatter(random, STONES, 7.0):
        size = random.uniform(0.02, 0.07) * (2.2 if random.random() < 0.06 else 1.0)
        lumps = 1.0 + 0.12 * np.sin(sphere @ random.normal(0.0, 2.2, (3, 3))).sum(axis=1)
        stone = sphere * lumps[:, None] * size * random.uniform([0.8, 0.7, 0.45], [1.3, 1.0, 0.7])
        place = beyond(place, np.linalg.norm(stone[:, :2], axis=1).max())
        stone = np.add(turned(stone, random.uniform(0, 6.3)), [*place, 0.1 * size])
        colour = STONE_COLOURS[random.integers(len(STONE_COLOURS))] * random.uniform(0.7, 1.3)
        copies.append((stone, faces, colour))
    vertices, faces, colours = joined(copies)
    add_mesh("stones", vertices, faces, painted_material("stones", 30.0, 0.6, 0.75), colours)


def add_tube(name, material, centre, radii, height, sides=24):
    """An upright open tube, its radius going from radii[0] to radii[1]."""
    angle = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    low = np.column_stack([centre + radii[0] * ring, np.full(sides, -0.05)])
    high = np.column_stack([centre + radii[1] * ring, np.full(sides, height)])
    here, following = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = np.stack([here, following, following + sides, here + sides], axis=1)
    add_mesh(name, np.concatenate([low, high]), faces, material)


def add_forest(random):
    """Trunks and bushes round the clearing, and a wall of foliage behind them."""
    bark = forest_material((0.025, 0.018, 0.012), (0.26, 0.19, 0.13), 3.5)
    foliage = forest_material((0.01, 0.02, 0.008), (0.17, 0.26, 0.05), 1.6)
    bush = forest_material((0.02, 0.045, 0.012), (0.22, 0.34, 0.07), 6.0)
    for heading in np.linspace(0.0, 2.0 * np.pi, 34, endpoint=False):
        heading, away = heading + random.normal(0.0, 0.07), random.uniform(6.5, 13.0)
        if np.cos(heading - SUN_HEADING) > 0.8:  # no trunk may shade the owl
            away = 16.0
        place = away * np.array([np.cos(heading), np.sin(heading)])
        thickness = random.uniform(0.13, 0.38)
        add_tube("trunk", bark, place, (thickness, 0.6 * thickness), 9.0)
    for place in scatter(random, 70, 1.0) / CLEARING * 9.0:
        size = random.uniform(0.3, 0.9)
        bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=size)
        shrub = bpy.context.active_object
        shrub.location = (*place, 0.3 * size)
        shrub.data.materials.append(bush)
    add_tube("foliage", foliage, np.zeros(2), (17.0, 18.0), 4.5, sides=96)


def add_light():
    """A low warm sun and a sky that pales towards the horizon."""
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle, sun.color = 4.2, np.radians(2.0), (1.0, 0.90, 0.76)
    lamp = bpy.data.objects.new("sun", sun)
    lamp.rotation_euler = [SUN_FROM_ZENITH, 0.0, SUN_HEADING + 0.5 * np.pi]
    bpy.context.scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    bpy.context.scene.world = world
    nodes, links = world.node_tree.nodes, world.node_tree.links
    axis = nodes.new("ShaderNodeSeparateXYZ")
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color = (0.78, 0.82, 0.86, 1.0)
    ramp.color_ramp.elements[1].color = (0.20, 0.38, 0.72, 1.0)
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Generated"], axis.inputs[0])
    links.new(axis.outputs["Z"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = 1.0


def build_scene(owl):
    """Empty Blender and fill it with the owl (PaintedMesh) and its surroundings."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    random = np.random.default_rng(5)
    material = painted_material("owl", 38.0, 0.75, 0.55, relief=0.006)
    add_mesh("owl", owl.vertices, owl.faces, material, owl.colours)
    corners = 40.0 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    add_mesh("ground", corners, [[0, 1, 2, 3]], ground_material())
    add_fallen_leaves(random)
    add_stones(random)
    add_forest(random)
    add_light()


# --- camera and renderer -------------------------------------------------------------------


def add_camera(film):
    """A pinhole with square pixels and a centred principal point."""
    lens = bpy.data.cameras.new("camera")
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = 36.0 * film.focal_px / film.width
    lens.clip_start, lens.clip_end = 0.05, 200.0
    camera = bpy.data.objects.new("camera", lens)
    camera.rotation_mode = "QUATERNION"
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def set_renderer(film, samples):
    """Cycles on the CPU, with denoising and a shutter centred on each frame."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", samples, 1
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    scene.cycles.max_bounces = 1
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y = film.width, film.height
    scene.render.resolution_percentage = 100
    scene.render.use_motion_blur = True
    scene.render.motion_blur_position = "CENTER"
    scene.render.motion_blur_shutter = film.exposure_frames
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.exposure = 0.15
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.render.image_settings.file_format = "PNG"


def animate(camera, film, frame, pose_at):
    """Key the camera before, at and after the middle of one exposure.

    Args:
        camera: Blender camera object.
        film: Film.
        frame: Index of the frame; Blender's frame has the same number.
        pose_at: Function from a time in frames to world_from_cam, [4, 4], OpenCV axes.
    """
    camera.animation_data_clear()
    half = 0.5 * film.exposure_frames
    for moment in (frame - half, frame, frame + half):
        pose = pose_at(moment) @ np.diag([1.0, -1.0, -1.0, 1.0])  # Blender looks along -z, y up
        place, turn, _ = Matrix(pose.tolist()).decompose()
        turn.make_compatible(camera.rotation_quaternion)  # same sign, else it spins
        camera.location = place
        camera.rotation_quaternion = turn
        camera.keyframe_insert("location", frame=moment)
        camera.keyframe_insert("rotation_quaternion", frame=moment)
    for curve in camera.animation_data.action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def render_frame(camera, film, frame, pose_at, path):
    """Render one frame to a PNG file."""
    animate(camera, film, frame, pose_at)
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
