"""INPUT: what a person gave, told apart once; pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from maquette.addresses import address_parts
from maquette.errors import ConfigError
from maquette.scene.paths import OWN_FOLDER

SOURCES = "stages/source"  # of a scene: copies of a person's files that travel with it
_FETCHED = ("http", "https")
_BUCKET = "s3"


@dataclass(frozen=True)
class BucketObjects:
    """Objects of a bucket, which are files of the scene when the step starts.

    Attributes:
        url: As it was given.
        bucket: The bucket's name.
        key: Of the one object, or the prefix of all, without a slash at its end.
        folder: Where they will lie, below the scene.
    """

    url: str
    bucket: str
    key: str
    folder: str

    @property
    def file(self) -> str:
        """The name of the one object, where the key has a suffix; else empty."""
        name = self.key.rpartition("/")[2]
        return name if Path(name).suffix else ""

    @property
    def place(self) -> str:
        """What the step reads, below the scene: the one file, else the folder."""
        return f"{self.folder}/{self.file}" if self.file else self.folder


@dataclass(frozen=True)
class Input:
    """The input of a step; without values: what the scene already has.

    Attributes:
        given: What the person wrote; empty for the bundled sample.
        told: What the step is told on this machine: an address, or an absolute path.
        is_address: The step fetches it, over http or https.
        inside: Its path below the scene; empty where it lies outside.
        objects: What has to be brought here first; None where it lies in no bucket.
    """

    given: str = ""
    told: str = ""
    is_address: bool = False
    inside: str = ""
    objects: BucketObjects | None = None

    @property
    def outside(self) -> str:
        """The person's own file or folder outside the scene; empty where there is none."""
        return "" if self.is_address or self.inside else self.told

    @property
    def carried(self) -> str:
        """What a synchronised copy of the scene lacks, and has to get; empty: nothing."""
        is_own = Path(self.inside).parts[:1] == (OWN_FOLDER,)
        return self.told if is_own else self.outside

    @property
    def place(self) -> str:
        """What the step reads in a synchronised copy: an address, or a path below the scene."""
        if self.is_address or not self.told:
            return self.told
        return f"{SOURCES}/{Path(self.told).name}" if self.carried else self.inside


NO_INPUT = Input()


def resolve(given: str, scene: Path, sample: Path) -> Input:
    """Tell what INPUT is.

    Args:
        given: As the person wrote it; empty: the sample where there is one, else nothing.
        scene: The scene's folder, absolute.
        sample: The bundled video of this scene's name; may not exist.

    Raises:
        ConfigError: an address that can not be fetched, or that names no bucket.
    """
    scheme, separator, rest = given.partition("://")
    if separator:
        address_parts(given, "INPUT")
    if not separator:
        return _of_path(given, scene, sample)
    if scheme.lower() == _BUCKET:
        objects = _objects(given, rest)
        return Input(given, str(scene / objects.place), inside=objects.place, objects=objects)
    if scheme.lower() not in _FETCHED:
        raise ConfigError(
            f"INPUT: a `{scheme}://` address can not be fetched, only https, http and s3",
            hint="download it yourself and set INPUT= to the file",
        )
    return Input(given, given, is_address=True)


def _of_path(given: str, scene: Path, sample: Path) -> Input:
    if not given and not sample.is_file():
        return NO_INPUT
    path = Path(given).expanduser().resolve() if given else sample
    inside = path.relative_to(scene).as_posix() if path.is_relative_to(scene) else ""
    return Input(given, str(path), inside=inside)


def _objects(url: str, rest: str) -> BucketObjects:
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise ConfigError(f"INPUT={url} names no bucket", hint="INPUT=s3://bucket/prefix")
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    return BucketObjects(url, bucket, key.strip("/"), f"{OWN_FOLDER}/input/{digest}")
