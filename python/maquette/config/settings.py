"""Every setting a person can give: name, type, default, meaning.

A setting is a field here, an option of a pipeline's step (`pipelines/`) or one of a backend
(`runners/`); `UPPER_CASE` in make and the environment, either case in `maquette.yaml`. The CLI's
help and docs/settings.md come from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)  # fmt: skip

from maquette.config import naming_rules, option_models
from maquette.pipelines import registry
from maquette.pipelines.options import chosen
from maquette.pipelines.pipeline import NATIVE
from maquette.runners import registry as backends
from maquette.scene.data_location import DEFAULT_DATASTORE, DataLocation

T = TypeVar("T")

Name = Annotated[str, AfterValidator(naming_rules.name)]
BucketName = Annotated[str, AfterValidator(naming_rules.bucket)]

SAMPLE = "owl"

COMMAND_LINE = "command line"  # where a setting was given


class Settings(BaseModel):
    """The settings of one command, validated.

    Attributes:
        options: What the chosen pipeline's steps may be told, by the settings' names in small
            letters; given like the other settings, one by one.
        backend_options: What the chosen backend may be told, likewise; read them with `of`.
        sources: Where each setting that is no default was given, by its UPPER_CASE name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    options: dict[str, Any] = Field(default_factory=dict, exclude=True)
    backend_options: dict[str, Any] = Field(default_factory=dict, exclude=True)
    sources: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    # what and where
    model: Name = Field(SAMPLE, description="the scene: folder scenes/MODEL")
    group: Name = Field("experiments", description="a name for a series of runs")
    pipeline: str = Field(
        registry.DEFAULT, description=f"the method: {', '.join(registry.names())}"
    )
    backend: str = Field(
        backends.DEFAULT, description=f"where jobs run: {', '.join(backends.BACKENDS)}"
    )
    base_dir: Path = Field(Path(), description="holds scenes/ and logs/")

    input: str = Field(
        "", description="video, folder of photos, .zip, https:// URL of one, or s3://…"
    )
    mesh: str = Field("", description="for texture: any mesh in the scene's world; empty: its own")
    list: str = Field("", description="for batch: the file that lists the scenes")
    jobs: int = Field(1, ge=1, le=64, description="for batch: how many scenes at once")
    ground_truth: str = Field("", description="folder with true cameras and mesh, for evaluate")

    # see and adjust
    view: Literal["auto", "blender", "browser"] = Field(
        "auto", description="adjust in blender or browser; auto: Blender if it is there"
    )
    blender: str = Field("", description="the Blender program; empty: the one on the PATH")
    listen: Annotated[str, AfterValidator(naming_rules.listen)] = Field(
        "127.0.0.1:8080", description="host:port of pages; beyond this machine: with a token"
    )

    # publish
    to: str = Field(
        "", description="where publish writes: a folder, s3://bucket/prefix, or with HTML=1 a file"
    )
    public: bool = Field(False, description="1: everybody may read what is published, for good")
    expires: str = Field(
        "7d",
        pattern=r"^\d{1,4}[mhd]$",
        description="when a private link ends: 30m, 12h, 7d at most",
    )
    html: bool = Field(False, description="1: publish one file that opens by a double click")
    open: bool = Field(False, description="1: open in the browser what a command shows or wrote")

    # make scenes up
    count: int = Field(8, ge=1, description="for scenes: how many are made up")
    out: str = Field("", description="for scenes: the folder that they are written to")

    # how the job runs
    wait: bool = Field(True, description="0: submit and return at once")
    force: bool = Field(False, description="1: stop a running job of this step and replace it")
    gpu: int = Field(1, ge=0, le=16, description="number of GPUs; 0: use none")
    datastore: Name = Field(
        DEFAULT_DATASTORE,
        description="alias of the S3 data store; the default one, until it is added: the built-in",
    )
    bucket_name: BucketName = Field(
        "", description="bucket for data; empty: one of this user and model"
    )

    engine: str = Field(
        NATIVE,
        description="native, or the pipeline's upstream programs in their own images: "
        + ", ".join(registry.upstream_engines()),
    )
    license_mode: Literal["any", "commercial"] = Field(
        "any", description="commercial: refuse programs whose licence forbids commercial use"
    )
    pull: bool = Field(True, description="0: leave a remote job's results in the bucket")
    retries: int = Field(2, ge=0, description="how often `make all` tries a step again")
    host_limit_hours: float = Field(
        0,
        ge=0,
        description="`make all` saves and leaves before this machine, up for so long, is taken away"
        "; 0: no limit",
    )

    # moving data
    only: str = Field("", description="results, checkpoints or a glob: move only these files")
    dry_run: bool = Field(False, description="1: show what would move, with sizes; move nothing")
    delete: bool = Field(False, description="1: also remove what was removed on the other side")
    prefer: Literal["", "local", "remote"] = Field(
        "", description="local or remote: which side counts where both changed"
    )
    relist: bool = Field(False, description="1: look at every object, not only at the manifest")
    yes: bool = Field(
        False, description="1: do not ask before deleting, or before trained work gets stale"
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Move what steps and backend may be told to their places, and fill in the defaults."""
        rest = {"backend": chosen_backend(values), **values}
        pipeline = option_models.of_pipeline(rest.get("pipeline", registry.DEFAULT))
        backend = option_models.of_backend(rest["backend"])
        more = rest.get("backend_options", {})  # may hold those of a command of another backend
        for place, model in (("options", pipeline), ("backend_options", backend)):
            given = rest.pop(place, {}) | {
                name: rest.pop(name) for name in model.model_fields if name in rest
            }
            known = {name: given[name] for name in model.model_fields if name in given}
            rest[place] = model(**known).model_dump()
        return {**rest, "backend_options": more | rest["backend_options"]}

    @field_validator("engine")
    @classmethod
    def _is_one_of_the_pipeline(cls, name: str, known: ValidationInfo) -> str:
        engines = [e.name for e in registry.get_pipeline(known.data["pipeline"]).engines]
        if name in engines:
            return name
        near = difflib.get_close_matches(name, engines, n=1)
        hint = f", nearest: `{near[0]}`" if near else ""
        raise ValueError(f"no engine of this pipeline; it has: {', '.join(engines)}{hint}")

    def of(self, kind: type[T]) -> T:
        """Options of one class as they were given; the defaults, where the backend has none."""
        return chosen(kind, self.backend_options)

    def secrets(self) -> dict[str, str]:
        """What was given that no request, document or log may hold, by the settings' names."""
        found = {
            name.upper(): value.get_secret_value()
            for name, value in self.backend_options.items()
            if isinstance(value, SecretStr)
        }
        return {name: value for name, value in found.items() if value}

    def public_backend_options(self) -> dict[str, Any]:
        """The options of the backend that are no secrets."""
        options = self.backend_options.items()
        return {name: value for name, value in options if not isinstance(value, SecretStr)}

    @property
    def data(self) -> DataLocation:
        """Where the scene's data lies."""
        return DataLocation(
            model=self.model,
            base_dir=self.base_dir.resolve(),
            bucket=self.bucket_name,
            chosen_datastore=self.datastore if "datastore" in self.model_fields_set else "",
        )

    @property
    def scene_dir(self) -> Path:
        """The scene's folder, absolute."""
        return (self.base_dir / "scenes" / self.model).resolve()

    @property
    def logs_dir(self) -> Path:
        """The folder of all job documents and logs, absolute."""
        return (self.base_dir / "logs").resolve()


def chosen_backend(values: Mapping[str, Any]) -> str:
    """BACKEND; where it is not given, one that can run ENGINE."""
    native = values.get("engine", NATIVE) == NATIVE
    return str(values.get("backend") or (backends.DEFAULT if native else backends.with_images()))


def core_names() -> frozenset[str]:
    """The UPPER_CASE names of the settings that no pipeline and no backend declares."""
    places = {"options", "backend_options", "sources"}
    return frozenset(name.upper() for name in Settings.model_fields if name not in places)


def setting_names() -> frozenset[str]:
    """The UPPER_CASE name of every setting, of whatever pipeline and backend."""
    of_pipelines = {name for known in registry.all_pipelines() for name in known.settings()}
    of_backends = {name for backend in backends.BACKENDS for name in backends.settings_of(backend)}
    return core_names() | of_pipelines | of_backends


def secret_names() -> frozenset[str]:
    """The UPPER_CASE names of settings whose values are shown nowhere."""
    return frozenset(
        name
        for backend in backends.BACKENDS
        for name, option in backends.settings_of(backend).items()
        if option.kind is SecretStr
    )
