"""Where a scene's data lies beside its folder: what a person chose of data store and bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATASTORE = "NEURALANGELO"


@dataclass(frozen=True)
class DataLocation:
    """A scene's place in a data store; holds no secret.

    Attributes:
        model: The scene's name, and its prefix in the bucket.
        base_dir: Holds scenes/, and the built-in store; absolute.
        bucket: The bucket's name; empty: one of this user and model.
        chosen_datastore: An alias; empty where the person gave none.
    """

    model: str
    base_dir: Path
    bucket: str = ""
    chosen_datastore: str = ""

    @property
    def datastore(self) -> str:
        """The alias that counts."""
        return self.chosen_datastore or DEFAULT_DATASTORE
