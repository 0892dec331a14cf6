"""Which way is up, and turns that set a mesh upright: those of `maquette.scene`, for this room."""

from __future__ import annotations

from maquette.scene.georeference import rotation_between as rotation_between
from maquette.scene.upright import up_direction as up_direction
