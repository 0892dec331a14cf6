"""Bringing the person's files into `input/`, once per content."""

from __future__ import annotations

from pathlib import Path

from maquette.errors import NotFound
from maquette.recon.frames.folders import recover
from maquette.scene import input_source
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def bring_in(scene: Scene, wanted: str, progress: Progress) -> list[Path]:
    """Make `input/` hold what `wanted` names; do nothing when it already does.

    `input/` keeps its files untouched (names, bytes, times) unless the source's content
    differs from them, so everything keyed by these files stands when a scene is moved.

    Args:
        wanted: A video, photo folder or `.zip`, or its address; "" for what `input/` holds.
            A relative path is one below the scene, wherever that lies.

    Returns:
        The files of `input/`.

    Raises:
        NotFound: there is no such source, or none is named and `input/` is empty.
        BadInput: the source can not make a scene; `input/` stays as it was.
    """
    recover(scene.input)
    wanted = _inside(scene, wanted)
    if wanted and not _is_input_itself(scene, wanted):
        fingerprint = input_source.fingerprint(wanted)
        if fingerprint != input_source.noted(scene) or not input_source.files_below(scene.input):
            from maquette.recon.frames.gathering import take_over  # slow to import, for once

            take_over(scene, wanted, progress)
            input_source.note(scene, fingerprint)
    files = input_source.files_below(scene.input) if scene.input.is_dir() else []
    if not files:
        raise NotFound(
            f"scene `{scene.name}` has no input yet",
            hint="set INPUT= to a video, a folder of photos, a .zip or an https:// address",
        )
    return files


def _inside(scene: Scene, wanted: str) -> str:
    is_path = bool(wanted) and not input_source.is_url(wanted)
    is_relative = is_path and not Path(wanted).is_absolute()
    return str(scene.root / wanted) if is_relative and (scene.root / wanted).exists() else wanted


def _is_input_itself(scene: Scene, wanted: str) -> bool:
    return not input_source.is_url(wanted) and Path(wanted).resolve() == scene.input.resolve()
