"""Every setting a person can give, once: name, type, default, meaning.

A setting is a field here, `UPPER_CASE` in make and the environment, and either case in
`maquette.yaml`. The help texts of the CLI and the table in `docs/settings.md` come from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]

BUCKET_PATTERN = r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"

REGISTRY_PATTERN = r"^([A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*/?)?$"  # as names of images begin

SAMPLE = "owl"


class Settings(BaseModel):
    """The settings of one command, validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # what and where
    model: Name = Field(SAMPLE, description="the scene: folder scenes/MODEL")
    group: Name = Field("experiments", description="a name for a series of runs")
    pipeline: Literal["neuralangelo"] = Field("neuralangelo", description="the method")
    backend: Name = Field("local", description="where jobs run: local, docker or ovh")
    base_dir: Path = Field(Path(), description="holds scenes/ and logs/")

    # prepare
    input: str = Field(
        "", description="video, folder of photos, .zip, https:// URL of one, or s3://…"
    )
    downsample_rate: int = Field(2, ge=1, description="take every N-th video frame")
    frames: int = Field(0, ge=0, description="take N sharp frames instead (0: every N-th)")
    scene_type: Literal["object", "indoor", "outdoor"] = Field(
        "object", description="object, indoor or outdoor: rule for the region"
    )
    matcher: Literal["auto", "exhaustive", "sequential"] = Field(
        "auto", description="auto, exhaustive or sequential"
    )
    camera_model: str = Field("SIMPLE_RADIAL", description="COLMAP camera model of the input")
    camera_params: str = Field("", description="known intrinsics in COLMAP's order, e.g. f,cx,cy,k")
    refine_principal_point: bool = Field(False, description="1: let mapping move cx, cy")
    auto_exposure_wb: bool = Field(False, description="1: exposure or white balance varies")
    min_registered: float = Field(
        0.6, gt=0, le=1, description="gate: smallest share of images with a pose"
    )

    # process
    iterations: int = Field(2000, ge=1, description="training iterations; schedules scale with it")
    preset: Literal["auto", "preview", "standard", "full-8gb", "full-12gb", "full-16gb", "full"] = (
        Field(
            "auto",
            description="how much to compute; full-8gb … fit smaller GPUs; auto: by hardware",
        )
    )
    fresh: bool = Field(False, description="1: train from zero; the old run is kept aside")
    save_minutes: float = Field(5.0, gt=0, description="minutes between checkpoints")
    overrides: str = Field(
        "", description="training settings by key, e.g. 'optim.params.lr=5e-4 data.val.subset=2'"
    )

    # extract
    resolution: int = Field(512, ge=8, le=8192, description="cells along the sphere's diameter")
    block_res: int = Field(
        128, ge=8, le=1024, description="cells along a block; less = less memory"
    )
    checkpoint: str = Field("", description="name, path or iteration; empty: the newest")
    textured: bool = Field(True, description="0: no vertex colours")
    keep_lcc: bool = Field(False, description="1: keep only the largest part of the whole mesh")
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
    from_: str = Field("", alias="from", description="first stage to run")
    until: str = Field("", description="last stage to run")
    force_stage: str = Field("", description="run this stage (or all) although it is done")
    seed: int = Field(0, ge=0, description="seed of every random choice")
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

    @property
    def scene_dir(self) -> Path:
        """The scene's folder, absolute."""
        return (self.base_dir / "scenes" / self.model).resolve()

    @property
    def logs_dir(self) -> Path:
        """The folder of all job documents and logs, absolute."""
        return (self.base_dir / "logs").resolve()


def setting_names() -> dict[str, str]:
    """Map each setting's UPPER_CASE name to its field name."""
    return {(field.alias or name).upper(): name for name, field in Settings.model_fields.items()}
