"""What training of splats may be told."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.errors import ConfigError


@dataclass(frozen=True)
class SplatOptions:
    """Options of one training run; the schedules scale with the iterations.

    Attributes:
        iterations: Photographs to train with in the whole run; with a batch of one, its steps.
        batch: Photographs of one step; 0: one for each process, or as the run was begun.
        cap: Most Gaussians.
        degree: Of the spherical harmonics in the end, 0 to 3.
        strategy: How Gaussians are added and removed: `mcmc` or `classic`.
        antialias: Other resolutions show the same; viewers must do the same to be exact.
        long_side: Larger photographs are reduced to this, pixels; None = as they are.
        background: What lies behind everything: `shell` of far Gaussians, one `sky` colour that
            is learned, the `ground` plane where no points are, or `black`.
        exposure: Whether each photograph gets an affine change of colours of its own.
        refine_poses: Whether cameras are moved too; they stand still in the last fifth.
        depth_weight: How much the depth of sparse points counts; 0 = not.
        normal_weight: How much it counts that Gaussians lie in the surface that their depths
            draw; 0 = not.
        seed: Of all random numbers.
    """

    iterations: int = 3000
    batch: int = 1
    cap: int = 90_000
    degree: int = 1
    strategy: str = "mcmc"
    antialias: bool = True
    long_side: int | None = None
    background: str = "shell"
    exposure: bool = False
    refine_poses: bool = False
    depth_weight: float = 0.0
    normal_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in ("mcmc", "classic"):
            raise ConfigError(f"no strategy `{self.strategy}`", hint="choose mcmc or classic")
        if self.background not in ("shell", "sky", "ground", "black"):
            raise ConfigError(
                f"no background `{self.background}`", hint="choose shell, sky, ground or black"
            )
        if not 0 <= self.degree <= 3:
            raise ConfigError(f"harmonics of degree {self.degree}: 0 to 3 are possible")
        if self.batch < 0:
            raise ConfigError(f"{self.batch} photographs a step", hint="1 or more; 0: one a GPU")
        if self.iterations < 1 or self.cap < 1:
            raise ConfigError(
                f"{self.iterations} iterations, at most {self.cap} Gaussians: both must be positive"
            )
