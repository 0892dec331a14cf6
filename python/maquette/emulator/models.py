"""What a client may send, checked strictly: unknown fields and wrong types are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel


def _not_of_the_platform(name: str) -> str:
    if name.startswith("ovh/"):
        raise ValueError("labels that begin with ovh/ belong to the platform")
    return name


Text = Annotated[str, StringConstraints(min_length=1)]
MountPath = Annotated[str, StringConstraints(pattern=r"^/[^:]+$")]
LabelName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"),
    AfterValidator(_not_of_the_platform),
]
LabelValue = Annotated[str, StringConstraints(max_length=64)]
Role = Literal["ai_training_read", "ai_training_operator"]


class StrictModel(BaseModel):
    """camelCase on the wire, nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)

    def to_json(self) -> dict[str, Any]:
        """The object as it is answered."""
        return self.model_dump(by_alias=True, exclude_none=True)


class EnvVar(StrictModel):
    """A variable of the job's environment."""

    name: Text
    value: str


class DataStoreSource(StrictModel):
    """Objects of a container below a prefix, in the data store of an alias."""

    alias: Text
    container: Text
    prefix: str | None = None
    archive: str | None = None
    internal: bool | None = None


class UrlSource(StrictModel):
    """A public git repository or object container."""

    url: Text


class Standalone(StrictModel):
    """An empty volume."""

    name: str | None = None


class Sources(StrictModel):
    """The kinds of sources; one of them is given."""

    data_store: DataStoreSource | None = None
    target_data_store: DataStoreSource | None = None
    public_git: UrlSource | None = None
    public_swift: UrlSource | None = None
    standalone: Standalone | None = None

    def given(self) -> list[str]:
        """The names of the sources that are set."""
        names = ("data_store", "target_data_store", "public_git", "public_swift", "standalone")
        return [name for name in names if getattr(self, name) is not None]


class Volume(Sources):
    """Data beside a job; the source stands flat or below `volumeSource`, both are accepted."""

    mount_path: MountPath
    permission: Literal["RO", "RW", "RWD"] = "RO"
    cache: bool = False
    volume_source: Sources | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Volume:
        nested = self.volume_source.given() if self.volume_source else []
        if len(self.given()) + len(nested) != 1:
            raise ValueError("a volume has exactly one source")
        return self

    @property
    def store(self) -> DataStoreSource | None:
        """The data store source, in either spelling."""
        nested = self.volume_source.data_store if self.volume_source else None
        return self.data_store or nested


class Resources(StrictModel):
    """A number of units of one flavor."""

    flavor: str | None = None
    gpu: Annotated[int, Field(ge=0)] | None = None
    cpu: Annotated[int, Field(ge=0)] | None = None


class JobRequest(StrictModel):
    """What `POST /v1/job` takes."""

    image: Annotated[str, StringConstraints(pattern=r"^\S+$")]
    name: str | None = None
    command: list[str] = Field(default_factory=list)
    resources: Resources = Field(default_factory=Resources)
    env_vars: list[EnvVar] = Field(default_factory=list)
    volumes: list[Volume] = Field(default_factory=list)
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict)
    timeout: int = Field(0, ge=0)
    timeout_auto_restart: bool = False
    default_http_port: int = Field(8080, ge=1, le=65535)
    unsecure_http: bool = False
    ssh_public_keys: list[str] = Field(default_factory=list)
    grpc_port: int | None = None
    read_user: str | None = None
    partner_id: str | None = None

    @model_validator(mode="after")
    def _distinct_mounts(self) -> JobRequest:
        mounts = [volume.mount_path for volume in self.volumes]
        if len(set(mounts)) != len(mounts):
            raise ValueError("two volumes have the same mountPath")
        return self


class TimeoutChange(StrictModel):
    """What `PUT /v1/job/{id}` takes."""

    timeout: int = Field(ge=0)
    timeout_auto_restart: bool = False


class LabelChange(StrictModel):
    """What `PUT /v1/job/{id}/label` takes; without a value the label is removed."""

    name: LabelName
    value: LabelValue | None = None


class DataSyncSpec(StrictModel):
    """What `POST /v1/job/{id}/datasync` takes."""

    direction: Literal["pull", "push"]
    volume: str | None = None


class TokenSpec(StrictModel):
    """What `POST /v1/token` takes."""

    name: Text
    role: Role
    label_selector: str | None = None


def sentence(error: ValidationError) -> str:
    """All problems of a body in one message."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"
        for problem in error.errors()
    )
