"""Lets a wheel carry the files of the checkout that are no Python, in `maquette/data/`."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
DATA = Path("maquette") / "data"
# An unpacked source distribution has them where the wheel will have them.
SOURCE = HERE / DATA if (HERE / DATA).is_dir() else HERE.parent
CARRIED = (
    "jobs", "images", "blender_addons", "LICENSE",
    "python/pyproject.toml", "python/constraints.txt",
)  # fmt: skip
BUILT = "build/web_page"  # by `make page`; a wheel that runs steps alone does without


def carry(target: Path) -> None:
    """Copy the files into `target`, each to the place that it has in a checkout."""
    for name in (*CARRIED, *[BUILT] * (SOURCE / BUILT).is_dir()):
        source, place = SOURCE / name, target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        else:
            shutil.copy2(source, place)


class BuildWithData(build_py):
    """Builds the package and puts the files into it; an editable install finds them itself."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # an older build's modules may be there
        super().run()
        carry(Path(self.build_lib) / DATA)


class SourcesWithData(sdist):
    """Packs the sources with the files, so that a wheel can be built of them anywhere."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        carry(Path(base_dir) / DATA)


setup(cmdclass={"build_py": BuildWithData, "sdist": SourcesWithData})
