"""The native neural-surface engine's public face: train a scene, load what was trained."""

from __future__ import annotations

from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.trained import RenderedView, TrainedSurface, load
from maquette.recon.surface.training import train

__all__ = ["RenderedView", "TrainedSurface", "TrainingOptions", "load", "train"]
