"""What a push or pull can not decide, as sentences with both places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from maquette.counting import counted
from maquette.errors import BadInput, shown_path
from maquette.storage.name_clashes import NameClash
from maquette.storage.object_store import ObjectStore
from maquette.storage.planning import Direction

if TYPE_CHECKING:
    from maquette.storage.syncing import SyncResult

_SHOWN = 20


class Conflict(BadInput):
    """Files changed on both sides since they last agreed, or can not stand side by side.

    Both are kept.

    Args:
        result: What was done about all the other files.
    """

    result: SyncResult | None = None


@dataclass(frozen=True)
class Sides:
    """Both places of a scene, and which way a command moves it."""

    root: Path
    bucket: ObjectStore
    direction: Direction

    def conflict(self, paths: Sequence[str], clashes: Sequence[NameClash]) -> Conflict | None:
        """The error that tells them all; None when there are none.

        Args:
            paths: Files that changed on both sides.
        """
        pairs = [f"{self._here(path)}  ≠  {self.bucket.url(path)}" for path in paths]
        pairs += ["  beside  ".join(self._places(clash)) for clash in clashes]
        if not pairs:
            return None
        rest = [f"… and {len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else []
        return Conflict(
            self._what(len(paths), clashes),
            detail="\n".join(pairs[:_SHOWN] + rest),
            hint=self._hint(paths, clashes),
        )

    def _what(self, changed: int, clashes: Sequence[NameClash]) -> str:
        if changed:
            return (
                f"{counted(changed, 'file')} changed both here and in the bucket; "
                "both sides are kept"
            )
        file, below = (f"`{place}`" for place in self._places(clashes[0]))
        return f"a file and a folder have the same name: {file} and {below}; both are kept"

    def _hint(self, paths: Sequence[str], clashes: Sequence[NameClash]) -> str:
        if not paths and all(clash.is_there for clash in clashes) and self.direction == "pull":
            return (
                "remove one of them in the bucket: `make push-data PREFER=local` does it, from a "
                "folder that has the right one"
            )
        taken, kept = ("local", "remote") if self.direction == "push" else ("remote", "local")
        return f"PREFER={taken} with this command replaces what is {kept}, PREFER={kept} leaves it"

    def _here(self, path: str) -> str:
        return shown_path(self.root / path)

    def _places(self, clash: NameClash) -> tuple[str, str]:
        """Where the file is, and where that which wants a folder of its name."""
        if clash.is_there:
            return self.bucket.url(clash.file), self.bucket.url(clash.below)
        if (self.root / clash.file).is_file():
            return self._here(clash.file), self.bucket.url(clash.below)
        return self.bucket.url(clash.file), self._here(clash.below)
