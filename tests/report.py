"""What a run tells at its end: how long tests took, and one table of what was left out."""

from __future__ import annotations

import collections
import fcntl
import json
from typing import Any

import pytest

from tiers import TIERS, left_out

LONG_S = 15.0  # for a test outside soak


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "where to note how long tests took; empty for nowhere"
    parser.addoption("--durations-file", default="build/test-durations.json", help=told)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Report(config), "report-at-the-end")


class Report:
    """Gathers while tests run; beside workers, the process that started them prints it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.left_out: collections.Counter[str] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.seconds: dict[str, dict[str, float]] = collections.defaultdict(dict)
        self.soak: set[str] = set()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.left_out.update(filter(None, (left_out(self.config, item) for item in items)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid][report.when or ""] = round(report.duration, 2)
        if "soak" in report.keywords:
            self.soak.add(report.nodeid)
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["left_out"] = dict(self.left_out)
        elif self.seconds and session.config.option.durations_file:
            self._note_durations()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker left out; each of them is given all tests, so one is enough."""
        found = getattr(node, "workeroutput", {}).get("left_out", {})
        self.left_out = collections.Counter(found)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for nodeid, phases in sorted(self.seconds.items()):
            for phase, seconds in phases.items():
                if seconds > LONG_S and nodeid not in self.soak:
                    long = f"{seconds:.0f} s are more than the {LONG_S:.0f} s of a test"
                    terminalreporter.write_line(f"{long}: {phase} of {nodeid}")
        rows = [(f"needs {TIERS[tier][0]}", count, TIERS[tier][1])
                for tier, count in self.left_out.items()]  # fmt: skip
        for reason, count in self.reasons.items():
            what, _, command = reason.partition(": ")
            rows.append((what, count, command.strip("`")))
        if rows:
            terminalreporter.section("left out")
            width = max(len(what) for what, _, _ in rows)
            for what, count, command in [("what", "tests", "what brings it"), *sorted(rows)]:
                terminalreporter.write_line(f"{what:<{width}}  {count:>5}  {command}")

    def _note_durations(self) -> None:
        """Beside those of the other tiers, of which another may end at the same moment."""
        file = self.config.rootpath / self.config.option.durations_file
        file.parent.mkdir(exist_ok=True)
        with open(file.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(file.read_text()) if file.exists() else {}
            known |= {test: round(sum(took.values()), 2) for test, took in self.seconds.items()}
            slowest_first = sorted(known.items(), key=lambda entry: -entry[1])
            written = file.with_suffix(".new")
            written.write_text(json.dumps(dict(slowest_first), indent=1) + "\n")
            written.replace(file)
