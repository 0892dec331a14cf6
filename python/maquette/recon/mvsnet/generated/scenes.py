"""A generated scene: pictures, cameras and exact depth maps, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.mvsnet.generated.degradation import degrade
from maquette.recon.mvsnet.generated.kernels import shading
from maquette.recon.mvsnet.generated.layout import Layout, lay_out
from maquette.scene.transforms import Frame, Intrinsics

VIEWS = 8
SAMPLES = 3  # rays of a pixel
_MARGINS = (1.03, 1.4)  # by which a view's range of depths is wider than its depths
_FEW = 0.002  # of a view's pixels at each end, which its range may leave out


@dataclass(frozen=True)
class GeneratedScene:
    """What cameras saw of it.

    Attributes:
        images: [N, 3, H, W] float32 sRGB of 0..1, in steps of 1/255.
        depths: [N, H, W] float32 along +z, world units; 0 where nothing is.
        frames: Cameras of the pictures' size.
        ranges: [N, 2]: the depths between which a view should be looked at.
    """

    images: Tensor
    depths: Tensor
    frames: tuple[Frame, ...]
    ranges: NDArray[np.float64]

    def projections(self) -> Tensor:
        """[N, 4, 4] float32: pixel from world, times depth; see CONVENTIONS.md."""
        return torch.stack([_projection(frame) for frame in self.frames])


def generate(
    seed: int, size: tuple[int, int] = (160, 128), views: int = VIEWS, samples: int = SAMPLES,
    device: torch.device | None = None,
) -> GeneratedScene:  # fmt: skip
    """Make a scene up; the same seed gives the same one.

    Args:
        size: Width and height of the pictures.
        samples: Rays of a pixel.
        device: Where it is rendered; on a GPU pictures differ in the last digits.
    """
    return render(lay_out(seed, views, size[0]), seed, size, samples, device)


def render(
    layout: Layout, seed: int, size: tuple[int, int], samples: int = SAMPLES,
    device: torch.device | None = None,
) -> GeneratedScene:  # fmt: skip
    """What the cameras of a layout see; arguments as for `generate`."""
    colors, depths = undegraded(layout, size, samples, device)
    return shown(colors, depths, layout.poses, layout.focal, np.random.default_rng([seed, 11]))


def undegraded(
    layout: Layout, size: tuple[int, int], samples: int = SAMPLES,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Colours [N, 3, H, W] of 0..1 and depths [N, H, W], before any camera has its say."""
    lens = _lens(size, layout.focal)
    return _rendered(layout, lens, samples, device or torch.device("cpu"))


def shown(
    colors: Tensor, depths: Tensor, poses: NDArray[np.float64], focal: float,
    random: np.random.Generator,
) -> GeneratedScene:  # fmt: skip
    """What `undegraded` rendered as cameras would give it.

    Args:
        poses: [N, 4, 4] world_from_cam.
        focal: Focal length in widths of the picture.
    """
    lens = _lens((depths.shape[2], depths.shape[1]), focal)
    frames = tuple(
        Frame(f"images/{number:08d}.png", pose, lens) for number, pose in enumerate(poses)
    )
    return GeneratedScene(degrade(colors, random), depths, frames, _ranges(depths, random))


def _lens(size: tuple[int, int], focal: float) -> Intrinsics:
    width, height = size
    return Intrinsics(width, height, focal * width, focal * width, width / 2, height / 2)


def _rendered(
    layout: Layout, lens: Intrinsics, samples: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    def there(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    cameras = np.concatenate(
        [layout.poses[:, :3, 3], layout.poses[:, :3, :3].reshape(-1, 9)], axis=1
    )
    light = there(np.array([*layout.light, layout.ambient, *layout.sky], np.float32))
    tables = {
        name: there(getattr(layout, name))
        for name in ("faces", "normals", "coordinates", "material", "materials")
    }
    stream: Any = None
    if device.type == "cuda":
        stream = wp.stream_from_torch(torch.cuda.current_stream(device))  # type: ignore[no-untyped-call]
    with wp.ScopedStream(stream):
        vertices: Any = wp.from_torch(there(layout.vertices), dtype=wp.vec3)
        indices: Any = wp.from_torch(tables["faces"].view(-1))
        mesh = wp.Mesh(vertices, indices)
        return shading.render(
            mesh, tables, there(cameras.astype(np.float32)), (lens.fl_x, lens.cx, lens.cy), light,
            (lens.height, lens.width), samples,
        )  # fmt: skip


def _ranges(depths: Tensor, random: np.random.Generator) -> NDArray[np.float64]:
    """[N, 2]: wider than the depths, as those that a sparse model tells are."""
    found = []
    for depth in depths.cpu().numpy():
        known = depth[depth > 0]
        low, high = np.quantile(known, [_FEW, 1 - _FEW]) if known.size else (1.0, 2.0)
        less, more = random.uniform(*_MARGINS, 2)
        found.append((low / less, high * more))
    return np.array(found)


def _projection(frame: Frame) -> Tensor:
    projection = np.eye(4)
    projection[:3] = frame.intrinsics.matrix() @ np.linalg.inv(frame.world_from_cam)[:3]
    return torch.from_numpy(projection).float()
