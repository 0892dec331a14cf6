"""The surface: a signed distance field with features, and the colour seen on it.

Symbols: x point in unit space, f(x) signed distance (negative inside), n normal, v view direction.
NeuS (arXiv:2106.10689) for the pair of networks; Neuralangelo (arXiv:2306.03092) section 3.1
for numerical gradients on a hash grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maquette.recon.surface.config import Rgb, Sdf
from maquette.recon.surface.hash_grid import HashGrid

# Offsets k of unit length with sum(k) = 0 and sum(k k^T) = (taps / 3) I.
_TETRAHEDRON = torch.tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]]) / 3**0.5
_AXES = torch.cat([torch.eye(3), -torch.eye(3)])


@dataclass(frozen=True)
class Probe:
    """The field around points.

    Attributes:
        distance: [N] f(x).
        gradient: [N, 3] of f, not normalised.
        laplacian: [N] trace of f's Hessian.
        features: [N, H] for the colour network.
    """

    distance: Tensor
    gradient: Tensor
    laplacian: Tensor
    features: Tensor

    @property
    def normals(self) -> Tensor:
        """[N, 3] unit length, outwards."""
        return nn.functional.normalize(self.gradient, dim=-1)


class SdfField(nn.Module):
    """Signed distance and features from hash-grid encoding and a small MLP.

    The network adds to an exact sphere (radius `out_bias`, inside out for indoor scenes) and its
    last layer starts at zero: a geometric initialisation that holds without luck.
    """

    taps: Tensor

    def __init__(self, config: Sdf, generator: torch.Generator | None = None) -> None:
        super().__init__()
        grid, mlp = config.encoding.hashgrid, config.mlp
        self.grid = HashGrid(
            config.encoding.levels, grid.min_logres, grid.max_logres, grid.dict_size, grid.dim,
            generator=generator,
        )  # fmt: skip
        self.hidden = mlp_layers(self.grid.width, mlp.hidden_dim, mlp.num_layers, generator)
        self.head = nn.Linear(mlp.hidden_dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.radius, self.sign = mlp.out_bias, -1.0 if mlp.inside_out else 1.0
        directions = _TETRAHEDRON if config.gradient.taps == 4 else _AXES
        self.register_buffer("taps", directions.float(), persistent=False)

    def forward(self, points: Tensor, active: int | None = None) -> tuple[Tensor, Tensor]:
        """Evaluate points [N, 3] in unit space -> distance [N], features [N, H]."""
        with torch.autocast(points.device.type, enabled=False):  # differences need every bit
            features = self.hidden(self.grid(points, active))
            sphere = (points.square().sum(-1) + 1e-4).sqrt() - self.radius
            return self.sign * sphere + self.head(features)[:, 0], features

    def probe(self, points: Tensor, active: int | None = None) -> Probe:
        """Evaluate points [N, 3] and their surroundings at the finest active cell's width."""
        width = self.grid.cell_size(self.grid.levels if active is None else active)
        around = points[None] + width * torch.cat([points.new_zeros(1, 3), self.taps])[:, None]
        distance, features = self(around.flatten(0, 1), active)  # [(1 + taps) · N]
        distance = distance.view(len(around), len(points))
        gradient, laplacian = differences(distance[0], distance[1:], self.taps, width)
        return Probe(distance[0], gradient, laplacian, features[: len(points)])


def differences(
    center: Tensor, around: Tensor, taps: Tensor, width: float
) -> tuple[Tensor, Tensor]:
    """Gradient and Laplacian from values at x and at x + width · taps.

    Args:
        center: [N] f(x).
        around: [T, N] f at the taps.
        taps: [T, 3] unit vectors with sum zero and sum(k k^T) = (T / 3) I.
        width: Step, unit space.

    Returns:
        gradient [N, 3], laplacian [N]; exact for quadratics (up to odd terms for T = 4).
    Source: Neuralangelo eq. 8 for six taps; the tetrahedron follows from the same expansion:
        sum(k f(x + h k)) = h (T/3) grad f, sum(f(x + h k) - f(x)) = h² (T/6) laplacian.
    """
    count = len(taps)
    # Not as a matrix product: under mixed precision that would round the differences away.
    gradient = (around[:, :, None] * taps[:, None]).sum(0) * (3.0 / (count * width))
    laplacian = (around.sum(0) - count * center) * (6.0 / (count * width * width))
    return gradient, laplacian


class ColorField(nn.Module):
    """Colour of a surface point seen from a direction.

    With a hash grid of its own, colour can be finer than the surface, which then needs few
    levels: that is what makes a short run on a CPU cheap. Neuralangelo shares one grid.
    """

    def __init__(
        self, config: Rgb, features: int, embedding: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.bands = config.encoding_view.levels
        grid, levels = config.encoding.hashgrid, config.encoding.levels
        self.grid = (
            HashGrid(
                levels, grid.min_logres, grid.max_logres, grid.dict_size, grid.dim,
                generator=generator,
            )
            if levels
            else None
        )  # fmt: skip
        inputs = 6 + self.bands**2 + features + embedding + levels * grid.dim
        mlp = config.mlp
        self.layers = mlp_layers(inputs, mlp.hidden_dim, mlp.num_layers, generator)
        self.head = nn.Linear(mlp.hidden_dim, 3)
        initialise(self.head, generator)

    def forward(
        self, points: Tensor, normals: Tensor, views: Tensor, features: Tensor, embedding: Tensor
    ) -> Tensor:
        """Colours [N, 3] in 0..1 from [N, 3] points, normals, view directions and [N, ·] codes."""
        seen = spherical_harmonics(views, self.bands)
        place = points if self.grid is None else self.grid(points)
        inputs = torch.cat([place, normals, seen, features, embedding], dim=1)
        return torch.sigmoid(self.head(self.layers(inputs)))


def mlp_layers(
    inputs: int, hidden: int, count: int, generator: torch.Generator | None
) -> nn.Sequential:
    """`count` fully connected layers with ReLU after each."""
    layers: list[nn.Module] = []
    for index in range(count):
        linear = nn.Linear(inputs if index == 0 else hidden, hidden)
        initialise(linear, generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers)


def initialise(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """He initialisation from the run's own generator; zero bias."""
    nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(linear.bias)


def spherical_harmonics(directions: Tensor, bands: int) -> Tensor:
    """Real spherical harmonics of unit directions [N, 3], `bands` 1 to 4 -> [N, bands²].

    Not normalised: the network behind it scales its inputs anyway.
    """
    x, y, z = directions.unbind(-1)
    terms = [torch.ones_like(x)]
    if bands > 1:
        terms += [x, y, z]
    if bands > 2:
        terms += [x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1]
    if bands > 3:
        terms += [
            y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1), z * (5 * z * z - 3),
            x * (5 * z * z - 1), z * (x * x - y * y), x * (x * x - 3 * y * y),
        ]  # fmt: skip
    return torch.stack(terms, dim=-1)
