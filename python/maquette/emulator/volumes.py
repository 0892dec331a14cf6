"""A job's volumes: where they lie here, and copying them from and to their data stores."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path
from typing import Any

from maquette.emulator import objects
from maquette.emulator.clock import now
from maquette.emulator.database import Job
from maquette.emulator.models import JobRequest, Volume
from maquette.emulator.objects import CopyProgress, StoreMissing
from maquette.emulator.parts import Service
from maquette.emulator.runtimes import Task


class Volumes:
    """The volumes of one job."""

    def __init__(self, service: Service, job: Job) -> None:
        self._service = service
        self._job = job
        self._spec = JobRequest.model_validate(job.private["sent"])

    def task(self) -> Task:
        """The job in the runtime's words."""
        work = self._service.database.work(self._job.id)
        starts = self._job.private.get("starts", 0)
        return Task(
            id=f"{self._job.id}-{starts}",
            image=self._spec.image,
            command=self._spec.command,
            environment={item.name: item.value for item in self._spec.env_vars},
            mounts={
                volume.mount_path: (self._folder(place), volume.permission != "RO")
                for place, volume in enumerate(self._spec.volumes)
            },
            gpus=self._spec.resources.gpu or 0,
            run=work / f"run-{starts}",
        )

    async def synchronise(self, direction: str, volume_id: str = "", *, manual: bool) -> str:
        """Copy volumes, or one; returns "" or what went wrong, and notes it under `dataSync`."""
        entry = self._begin(direction, manual)
        problem = ""
        for place, volume in enumerate(self._spec.volumes):
            known = self._job.status["volumes"][place]
            if volume_id and volume_id not in (known["id"], known["userVolumeId"]):
                continue
            progress = CopyProgress()
            found = await self._copied(direction, place, volume, progress)
            problem = found or problem
            entry["status"]["progress"].append(_progress(direction, volume, progress, found))
            key = "lastPushedCreatedAt" if direction == "push" else "lastPulledCreatedAt"
            known[key] = None if found else entry["createdAt"]
        self._end(entry, problem)
        return problem

    def empty(self) -> None:
        """Empty the volumes before they are pulled again."""
        for place, _ in enumerate(self._spec.volumes):
            shutil.rmtree(self._folder(place), ignore_errors=True)

    async def drop(self) -> None:
        """Remove the job's data; the log stays."""
        for place, _ in enumerate(self._spec.volumes):
            await self._share(place)
            await asyncio.to_thread(shutil.rmtree, self._folder(place), ignore_errors=True)

    async def _copied(
        self, direction: str, place: int, volume: Volume, progress: CopyProgress
    ) -> str:
        folder, stores = self._folder(place), self._service.stores
        try:
            if direction == "push":
                if self._service.faults.for_job("sync_failed", self._job.public):
                    return "DATASYNC_PROGRESS_FAILED_UNKNOWN_ERROR: on demand"
                await asyncio.to_thread(objects.push, stores, volume, folder, progress)
            else:
                if self._service.faults.for_job("no_store", self._job.public):
                    raise StoreMissing("on demand")
                await self._share(place)
                await asyncio.to_thread(objects.pull, stores, volume, folder, progress)
                await self._share(place)
        except StoreMissing as error:
            return f"DATASYNC_DATA_STORE_NOT_FOUND: {error}"
        except Exception as error:  # of the store's client or the disk; it becomes a sentence
            return f"DATASYNC_FAILED: {error}"
        return ""

    async def _share(self, place: int) -> None:
        folder = self._folder(place)
        if folder.exists():
            await asyncio.to_thread(self._service.runtime.share, self.task(), folder)

    def _folder(self, place: int) -> Path:
        """The last part of a mount path is the scene's name, so the folder has it too."""
        name = Path(self._spec.volumes[place].mount_path).name
        return self._service.database.work(self._job.id) / f"volume-{place}" / name

    def _begin(self, direction: str, manual: bool) -> dict[str, Any]:
        time = now()
        entry: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "createdAt": time,
            "updatedAt": time,
            "spec": {"direction": direction, "manual": manual},
            "status": {
                "state": "RUNNING",
                "queuedAt": time,
                "startedAt": time,
                "endedAt": None,
                "info": {"code": "DATASYNC_RUNNING", "message": "Data sync is running"},
                "progress": [],
            },
        }
        self._job.status["dataSync"] = [*(self._job.status["dataSync"] or []), entry]
        return entry

    def _end(self, entry: dict[str, Any], problem: str) -> None:
        code = problem.partition(":")[0] if problem else "DATASYNC_DONE"
        entry["updatedAt"] = entry["status"]["endedAt"] = now()
        entry["status"]["state"] = "FAILED" if problem else "DONE"
        entry["status"]["info"] = {"code": code, "message": problem or "Data sync is done"}
        self._service.database.save(self._job)


def _progress(
    direction: str, volume: Volume, progress: CopyProgress, problem: str
) -> dict[str, Any]:
    source = volume.store
    return {
        "id": str(uuid.uuid4()),
        "direction": direction,
        "info": f"{source.container}@{source.alias}" if source else volume.mount_path,
        "state": "FAILED" if problem else "DONE",
        **progress.to_json(),
    }
