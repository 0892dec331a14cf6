"""The picture painted on the ground: soil, gravel and moss, no patch like another.

It is made once as an image, because noise computed anew for each light path costs more than all
the rest of the picture.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, zoom

SIZE_PX = 3072
WIDTH = 13.0  # world units across the image
GRAINS = 42_000
SOIL = np.array([[0.05, 0.032, 0.02], [0.19, 0.125, 0.08], [0.42, 0.32, 0.22]])
MOSS = np.array([[0.02, 0.04, 0.01], [0.09, 0.14, 0.03], [0.25, 0.32, 0.08]])
GRAVEL = np.array([[0.07, 0.06, 0.055], [0.26, 0.22, 0.18], [0.68, 0.62, 0.53]])


def noise_image(random, coarsest, octaves, fading=0.7):
    """Noise of standard deviation 1 and mean 0.

    Args:
        random: numpy generator.
        coarsest: Cells across the image in the first octave.
        octaves: Number of octaves, each twice as fine as the one before.
        fading: Strength of an octave relative to the one before.

    Returns:
        [SIZE_PX, SIZE_PX] float32.
    """
    total = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for octave in range(octaves):
        cells = min(coarsest * 2**octave, SIZE_PX)
        grid = random.normal(size=(cells, cells)).astype(np.float32)
        total += fading**octave * zoom(grid, SIZE_PX / cells, order=min(octave + 1, 2))
    return (total - total.mean()) / total.std()


def along(stops, value):
    """Colours [..., 3] along evenly spaced stops [K, 3]; value in [0, 1]."""
    places = np.linspace(0.0, 1.0, len(stops))
    return np.stack([np.interp(value, places, stops[:, i]) for i in range(3)], axis=-1)


def gravel(random):
    """Colour [H, W, 3] of the nearest grain, and [H, W] whether a grain covers the pixel."""
    is_seed = np.ones((SIZE_PX, SIZE_PX), bool)
    is_seed[tuple(random.integers(0, SIZE_PX, (2, GRAINS)))] = False
    distance, nearest = distance_transform_edt(is_seed, return_indices=True)
    shade = random.random((SIZE_PX, SIZE_PX), dtype=np.float32)[tuple(nearest)]
    size = 2.0 + 5.0 * random.random((SIZE_PX, SIZE_PX), dtype=np.float32)[tuple(nearest)]
    return along(GRAVEL, shade), distance < size


def floor_image(seed=11):
    """The ground's colour, [SIZE_PX, SIZE_PX, 3] float32, linear RGB in [0, 1]."""
    random = np.random.default_rng(seed)
    grain = noise_image(random, 96, 6, 0.85)
    colour = along(SOIL, 0.42 + 0.22 * grain)
    stone, is_stone = gravel(random)
    is_gravelly = noise_image(random, 24, 4) > -0.3
    colour = np.where((is_stone & is_gravelly)[..., None], stone, colour)
    moss = along(MOSS, 0.45 + 0.25 * noise_image(random, 384, 4, 0.9))
    cover = np.clip(3.0 * noise_image(random, 12, 7) - 2.0, 0.0, 1.0)[..., None]
    colour = colour * (1.0 - cover) + moss * cover
    return (colour * (1.0 + 0.12 * grain[..., None])).clip(0.0, 1.0).astype(np.float32)
