"""Options of photogrammetry."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.pipelines.dense import DenseOptions, SurfaceOptions


@dataclass(frozen=True)
class ProcessOptions(DenseOptions):
    """Options of `process`."""


@dataclass(frozen=True)
class ExtractOptions(SurfaceOptions):
    """Options of `extract`."""
