"""The digests of what a stage reads, which make up its content key."""

from __future__ import annotations

import hashlib
from pathlib import Path

from maquette.scene import facts, stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord


def of_stage(record: StageRecord) -> str:
    """What an earlier stage made."""
    return record.key + _again(record)


def of_fact(scene: Scene, fact: str) -> str:
    """A fact that a person may edit."""
    source = stage_records.read(scene, facts.SOURCES.get(fact, ""))
    return facts.digest(scene, fact) + _again(source)


def of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _again(record: StageRecord | None) -> str:
    """What tells a result that a person had made again from the one before."""
    return f"+{record.lineage}" if record and record.lineage else ""
