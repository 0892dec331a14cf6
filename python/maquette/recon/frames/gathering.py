"""Taking over what INPUT names: fetched, unpacked or copied, looked at, and put into `input/`."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from maquette.errors import BadInput, NotFound, shown_path
from maquette.recon.frames import archives, content, download, sources
from maquette.recon.frames.folders import replacing_folder
from maquette.scene import input_source, layout
from maquette.scene.events import Progress
from maquette.scene.input_names import Names
from maquette.scene.paths import Scene


def take_over(scene: Scene, wanted: str, progress: Progress) -> None:
    """Put it into `input/`, unless the same bytes are there already.

    Raises:
        NotFound: there is no such source.
        BadInput: it can not make a scene; `input/` stays as it was.
    """
    with _gathering(scene) as folder:
        _gather(wanted, folder, progress)
        if _digests(folder) == _digests(scene.input):
            return
        sources.examine(folder, _shown(wanted))
        with replacing_folder(scene.input) as target:
            for path in folder.iterdir():
                path.rename(target / path.name)


class _gathering:  # noqa: N801 - used as a function
    """A folder inside the scene, so that taking it over is a rename; removed afterwards."""

    def __init__(self, scene: Scene) -> None:
        self._folder = scene.root / ".gathered-input"

    def __enter__(self) -> Path:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self._folder

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _shown(wanted: str) -> str:
    return download.without_secrets(wanted) if input_source.is_url(wanted) else wanted


def _gather(wanted: str, folder: Path, progress: Progress) -> None:
    if input_source.is_url(wanted):
        _gather_file(download.fetch(wanted, _subfolder(folder), progress), folder, progress)
        shutil.rmtree(folder / ".download")
        return
    source = Path(wanted).expanduser()
    if not source.exists():
        raise NotFound(
            f"there is no input `{wanted}`", hint="set INPUT= to a video or a folder of photos"
        )
    if source.is_dir():
        _gather_folder(source, folder, progress)
    else:
        _gather_file(source, folder, progress)


def _subfolder(folder: Path) -> Path:
    (folder / ".download").mkdir()
    return folder / ".download"


def _gather_file(source: Path, folder: Path, progress: Progress) -> None:
    kind = content.kind_of(source)
    if kind == "zip":
        archives.unpack(source, folder, progress)
    elif kind == "photo":
        raise BadInput(
            f"one photo is no scene: `{source.name}`",
            hint="set INPUT= to the folder that holds more of them",
        )
    else:
        shutil.copy2(source, folder / source.name)


def _gather_folder(source: Path, folder: Path, progress: Progress) -> None:
    if layout.is_scene(source):
        raise BadInput(
            f"this is a scene, not the photos of one: `{source}`",
            hint=f"MODEL={source.resolve().name} works on it; a new one of the same photos: "
            f"INPUT={shown_path(Scene(source).input)}",
        )
    files, names = input_source.everything_below(source), Names()
    if not files:
        raise BadInput(
            f"the folder is empty: `{source}`", hint="set INPUT= to a folder that holds photos"
        )
    if copies := input_source.copies_below(source):
        progress.say(f"smaller copies of the same pictures, left out: {', '.join(copies)}")
    for done, path in enumerate(files, start=1):
        target = folder / names.place(path.relative_to(source))
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(path, target)
        progress.step("copy", done, len(files))


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in input_source.everything_below(folder) if folder.is_dir() else []:
        with open(path, "rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(
                file, "sha256"
            ).hexdigest()
    return digests
