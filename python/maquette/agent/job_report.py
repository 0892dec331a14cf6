"""What an agent writes of its job into the scene: `stages/jobs/<job>.json`."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from maquette.agent.arguments import Arguments
from maquette.scene.atomic import write_json
from maquette.scene.events import now
from maquette.scene.paths import Scene

REPORTS = "jobs"


class JobReport(dict[str, Any]):
    """The facts about one job, from its first second on."""

    def __init__(self, arguments: Arguments) -> None:
        super().__init__(job=arguments.job, step=arguments.step, began_at=now())
        self._arguments = arguments
        self._begun = time.monotonic()

    @property
    def spent_s(self) -> float:
        """How long the job has had its machine."""
        return time.monotonic() - self._begun

    def write(self) -> None:
        """Write it with the time and cost so far; on a full disk not, and nothing stops for it."""
        seconds = self.spent_s
        cost = round(seconds / 3600 * self._arguments.price_per_hour, 4)
        self.update(wall_s=round(seconds, 1), cost=cost)
        reports = Scene(self._arguments.scene).stages / REPORTS
        with contextlib.suppress(OSError):
            write_json(reports / f"{self._arguments.job}.json", dict(self))
