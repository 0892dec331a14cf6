"""Which views are done: a small record a view, written after its files.

So a run that was killed goes on with the view that it was at, and a file that is missing, cut
short or of something else is made again alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from maquette.scene.atomic import write_json


class ViewRecords:
    """The records of the views of one stage.

    Args:
        folder: Holds them.
        root: Files are named from here.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._root = folder, root

    def missing(
        self, numbers: Sequence[int], names: Sequence[str], key_of: Callable[[int], str],
        say: Callable[[str], None],
    ) -> Iterator[tuple[int, str]]:  # fmt: skip
        """The views, of some numbers, that are not done for their keys, with these.

        Args:
            say: Is told of those that were done, but whose files are no longer as they were.
        """
        for number in numbers:
            key, record = key_of(number), self._read(names[number])
            was_done = record.get("key") == key
            if was_done and self._stand(record):
                continue
            if was_done:
                say(f"`{names[number]}`: a map of it is gone or damaged, and is made again alone")
            yield number, key

    def _stand(self, record: dict[str, Any]) -> bool:
        """Whether the files of a view have the sizes they had."""
        try:
            files = record["files"].items()
            return all((self._root / path).stat().st_size == size for path, size in files)
        except (OSError, KeyError, AttributeError):
            return False

    def write(self, name: str, key: str, files: Sequence[Path], **numbers: float) -> None:
        """Note that a view is done."""
        sizes = {path.relative_to(self._root).as_posix(): path.stat().st_size for path in files}
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self.path(name), {"key": key, "files": sizes, "numbers": numbers})

    def files(self, name: str) -> list[Path]:
        """What was made of a view that is done: its files, and the record itself."""
        made = [self._root / path for path in self._read(name).get("files", ())]
        return [*made, self.path(name)]

    def path(self, name: str) -> Path:
        """Where the record of a view lies."""
        return self._folder / f"{name}.json"

    def key(self, name: str) -> str:
        """What a view was finished for; "" where it is not done."""
        return str(self._read(name).get("key", ""))

    def numbers(self, name: str) -> dict[str, float]:
        """What was noted of it."""
        return dict(self._read(name).get("numbers", {}))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self.path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
