"""Every setting a person can give: name, type, default, meaning.

A setting is a field here or an option of a pipeline's step (`pipelines/`), `UPPER_CASE` in make and
the environment, and either case in `maquette.yaml`. The CLI's help and docs/settings.md come from
there.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    create_model,
    model_validator,
)

from maquette.errors import ConfigError
from maquette.pipelines import registry

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]

BUCKET_PATTERN = r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"

REGISTRY_PATTERN = r"^([A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*/?)?$"  # as names of images begin

SAMPLE = "owl"


class Settings(BaseModel):
    """The settings of one command, validated.

    Attributes:
        options: What the chosen pipeline's steps may be told, by the settings' names in small
            letters; given like the other settings, one by one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    options: dict[str, Any] = Field(default_factory=dict, exclude=True)

    # what and where
    model: Name = Field(SAMPLE, description="the scene: folder scenes/MODEL")
    group: Name = Field("experiments", description="a name for a series of runs")
    pipeline: str = Field(
        registry.DEFAULT, description=f"the method: {', '.join(registry.names())}"
    )
    backend: Name = Field("local", description="where jobs run: local, docker or ovh")
    base_dir: Path = Field(Path(), description="holds scenes/ and logs/")

    input: str = Field(
        "", description="video, folder of photos, .zip, https:// URL of one, or s3://…"
    )
    ground_truth: str = Field("", description="folder with true cameras and mesh, for evaluate")

    # see and adjust
    view: Literal["auto", "blender", "browser"] = Field(
        "auto", description="adjust in blender or browser; auto: Blender if it is there"
    )
    blender: str = Field("", description="the Blender program; empty: the one on the PATH")
    listen: str = Field(
        "127.0.0.1:8080", description="host:port of pages; beyond this machine: with a token"
    )

    # how the job runs
    wait: bool = Field(True, description="0: submit and return at once")
    force: bool = Field(False, description="1: stop a running job of this step and replace it")
    gpu: int = Field(1, ge=0, le=16, description="number of GPUs; 0: use none")
    flavor: str = Field("", description="machine type on a remote backend; empty: the step's own")
    datastore: Name = Field(
        "NEURALANGELO",
        description="alias of the S3 data store; the default one, until it is added: the built-in",
    )
    bucket_name: str = Field(
        "", description="bucket for data; empty: one of this user and model", pattern=BUCKET_PATTERN
    )

    max_hours: float = Field(0.0, ge=0, description="a remote step stops after this; 0: never")
    max_cost: float = Field(0.0, ge=0, description="it stops when it has cost this much; 0: never")
    price_per_hour: float = Field(0.0, ge=0, description="of the machine, for MAX_COST and reports")
    sync_minutes: float = Field(5.0, gt=0, description="minutes between a running job's pushes")
    notify_url: SecretStr = Field(
        SecretStr(""), description="webhook (Slack's or any) told of start, stages, failure, end"
    )

    # containers
    engine: Literal["native", "nvlabs"] = Field(
        "native", description="native, or nvlabs: the upstream programs in their own images"
    )
    docker_host: str = Field(
        "", description="unix:///…, ssh://user@host, tcp://… or a context; empty: the current one"
    )
    carry: Literal["auto", "mount", "store"] = Field(
        "auto",
        description="how a job elsewhere gets the scene: mount (at OVHcloud a volume), store (its "
        "agent fetches it); auto: by the backend",
    )
    image: str = Field("", description="the image to run instead of the step's own")
    variant: Literal["auto", "cpu", "cuda12", "cuda13"] = Field(
        "auto", description="build of our images: cpu, cuda12, cuda13; auto: by GPU and FLAVOR"
    )
    registry: str = Field(
        "",
        description="where our images are pushed to and pulled from",
        pattern=REGISTRY_PATTERN,
    )
    base_image: str = Field("debian:bookworm-slim", description="what our images are built on")
    extra_ca: str = Field("", description="PEM file of authorities that an image's build trusts")
    wheels: str = Field("", description="folder of wheels that an image's build takes first")

    # OVHcloud AI Training
    ovh_region: Literal["GRA", "BHS"] = Field("GRA", description="GRA (France) or BHS (Canada)")
    ovh_url: str = Field(
        "", description="another address of the service, e.g. of the emulator; empty: by region"
    )
    ovh_catalogue: str = Field(
        "https://api.ovh.com/1.0/order/catalog/public/cloud", description="public price list"
    )
    pull: bool = Field(True, description="0: leave a remote job's results in the bucket")
    retries: int = Field(2, ge=0, description="how often `make all` tries a step again")

    # moving data
    only: str = Field("", description="results, checkpoints or a glob: move only these files")
    dry_run: bool = Field(False, description="1: show what would move, with sizes; move nothing")
    delete: bool = Field(False, description="1: also remove what was removed on the other side")
    prefer: Literal["", "local", "remote"] = Field(
        "", description="local or remote: which side counts where both changed"
    )
    relist: bool = Field(False, description="1: look at every object, not only at the manifest")
    yes: bool = Field(False, description="1: do not ask before deleting")

    @model_validator(mode="before")
    @classmethod
    def _upstream_engines_run_in_containers(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("engine", "native") != "native":
            return {"backend": "docker", **values}
        return values

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Move what the pipeline's steps may be told to `options`, and fill in the defaults."""
        model = option_model(values.get("pipeline", registry.DEFAULT))
        given = {name: values[name] for name in model.model_fields if name in values}
        rest = {name: value for name, value in values.items() if name not in given}
        found = model(**rest.pop("options", {}) | given).model_dump()
        return {**rest, "options": found}

    @property
    def scene_dir(self) -> Path:
        """The scene's folder, absolute."""
        return (self.base_dir / "scenes" / self.model).resolve()

    @property
    def logs_dir(self) -> Path:
        """The folder of all job documents and logs, absolute."""
        return (self.base_dir / "logs").resolve()


@functools.cache
def option_model(pipeline: str) -> type[BaseModel]:
    """What the steps of a pipeline may be told, by the settings' names in small letters.

    Raises:
        ValueError: there is no such pipeline.
    """
    try:
        settings = registry.get_pipeline(pipeline).settings()
    except ConfigError as error:
        raise ValueError(error.what) from error
    fields: dict[str, Any] = {}
    for name, by_step in settings.items():
        option = next(iter(by_step.values()))
        bounds = {"ge": option.low, "le": option.high, "gt": option.above}
        known: dict[str, Any] = {key: x for key, x in bounds.items() if x is not None}
        fields[name.lower()] = (
            option.kind, Field(option.default, description=option.help, **known)
        )  # fmt: skip
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)


def core_names() -> frozenset[str]:
    """The UPPER_CASE names of the settings that no pipeline declares."""
    return frozenset(name.upper() for name in Settings.model_fields if name != "options")


def setting_names() -> frozenset[str]:
    """The UPPER_CASE name of every setting, of whatever pipeline."""
    names = {name for pipeline in registry.all_pipelines() for name in pipeline.settings()}
    return core_names() | names
