"""What the endpoints do: make jobs, stop, synchronise and label them, and run their lifecycles."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from typing import Any

from maquette.emulator import catalogue
from maquette.emulator.clock import now
from maquette.emulator.database import Job
from maquette.emulator.lifecycle import PLATFORM_MAXIMUM_S, Lifecycle
from maquette.emulator.models import JobRequest
from maquette.emulator.parts import Service
from maquette.emulator.volumes import Volumes
from maquette.planning.flavors import fallback_table

TENANT = "emulated-project"


class ApiError(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Jobs:
    """The jobs of the service.

    Args:
        quota: How many CPUs (of CPU flavors) and GPUs live jobs may hold together.
        region: Lower case, part of the addresses that jobs get.
    """

    def __init__(self, service: Service, quota: dict[str, int], region: str) -> None:
        self.service = service
        self.quota = quota
        self._region = region
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Go on with every job that had not ended when the emulator stopped."""
        for job in self.service.database.live():
            self._begin(job)

    async def detach(self) -> None:
        """Leave every job as it is; its container or process goes on."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def create(self, spec: JobRequest, user: str, forced_labels: dict[str, str]) -> Job:
        """Make a job; it begins at once.

        Raises:
            ApiError: 400 for an impossible flavor, 402 beyond the quota.
        """
        try:
            resources = catalogue.resources_of(spec)
        except ValueError as error:
            raise ApiError(400, str(error)) from None
        self._check_quota(resources)
        job_id = str(uuid.uuid4())
        public = self._public(job_id, spec, resources, user, forced_labels)
        job = Job(public, {"at": "QUEUED", "sent": spec.to_json()})
        self.service.database.jobs[job_id] = job
        self.service.database.save(job)
        self._begin(job)
        return job

    def get(self, job_id: str) -> Job:
        """The job of an id.

        Raises:
            ApiError: 404.
        """
        job = self.service.database.jobs.get(job_id)
        if job is None:
            raise ApiError(404, f"job {job_id} not found")
        return job

    def kill(self, job: Job) -> None:
        """Ask a job to stop; nothing happens to one that has ended."""
        if not job.has_ended:
            job.private["kill"] = True
            job.status["stoppedAt"] = job.status["stoppedAt"] or now()
            self.service.database.save(job)
            job.changed.set()

    def start(self, job: Job) -> None:
        """Run an ended job again.

        Raises:
            ApiError: 400 while it runs.
        """
        if not job.has_ended:
            raise ApiError(400, f"job {job.id} is not stopped")
        starts = job.private.get("starts", 0) + 1
        job.private = {"at": "RESTARTING", "sent": job.private["sent"], "starts": starts - 1}
        for name in ("startedAt", "stoppedAt", "finalizedAt", "timeoutAt", "exitCode"):
            job.status[name] = None
        job.status["state"] = "RESTARTING"
        job.status["history"].append({"state": "RESTARTING", "date": now()})
        self.service.database.save(job)
        self._begin(job)

    async def delete(self, job: Job, *, force: bool) -> None:
        """Forget an ended job; with `force`, kill it first.

        Raises:
            ApiError: 400 while it runs.
        """
        if not job.has_ended and not force:
            raise ApiError(400, f"job {job.id} is not stopped")
        self.kill(job)
        if job.id in self._tasks:
            await self._tasks[job.id]
        shutil.rmtree(self.service.database.work(job.id), ignore_errors=True)
        self.service.database.forget(job)

    def synchronise(self, job: Job, direction: str, volume: str) -> dict[str, Any]:
        """Begin to copy the volumes of a running job, or of one whose push failed.

        Raises:
            ApiError: 400 in any other state.
        """
        if job.private["at"] not in ("RUNNING", "SYNC_FAILED"):
            raise ApiError(400, f"job {job.id} is {job.status['state']}: no data to synchronise")
        before = len(job.status["dataSync"] or ())
        volumes = Volumes(self.service, job)

        async def copy() -> None:
            problem = await volumes.synchronise(direction, volume, manual=True)
            if not problem and job.private["at"] == "SYNC_FAILED" and direction == "push":
                await volumes.drop()

        task = asyncio.ensure_future(copy())
        self._tasks[f"{job.id}-sync-{before}"] = task
        return {"before": before, "task": task}

    def bill(self, job: Job) -> dict[str, Any]:
        """What a job costs: started minutes from the image pull to the end of its process."""
        begun, ended = job.private.get("billed_from"), job.private.get("billed_to")
        seconds = self.service.clock.between(begun, ended or now()) if begun else 0.0
        minutes = -(-int(seconds * 1000) // 60_000)
        resources = job.public["spec"]["resources"]
        units = resources.get("gpu") or resources["cpu"]
        flavor = fallback_table()[resources["flavor"]]
        price = (flavor.eur_per_minute or 0.0) * units
        return {"job": job.id, "minutes": minutes, "euros": round(minutes * price, 6)}

    def _begin(self, job: Job) -> None:
        self._tasks[job.id] = asyncio.ensure_future(Lifecycle(self.service, job).run())

    def _check_quota(self, resources: dict[str, Any]) -> None:
        used = catalogue.used_resources([job.public for job in self.service.database.live()])
        kind = "GPU" if resources.get("gpu") else "CPU"
        asked = resources.get("gpu") or resources["cpu"]
        free = self.quota[kind] - used[kind]
        if asked > free:
            raise ApiError(
                402, f"quota exceeded: {asked} {kind} requested, {free} of {self.quota[kind]} free"
            )

    def _public(
        self,
        job_id: str,
        spec: JobRequest,
        resources: dict[str, Any],
        user: str,
        forced_labels: dict[str, str],
    ) -> dict[str, Any]:
        time = now()
        host = f"{self._region}.ai.cloud.ovh.net"
        sent = spec.to_json()
        sent["name"] = spec.name or f"job-{job_id[:8]}"
        sent["resources"] = resources
        sent["timeout"] = spec.timeout or PLATFORM_MAXIMUM_S
        sent["labels"] = {**spec.labels, **forced_labels, "ovh/id": job_id, "ovh/type": "job"}
        times = ("initializingAt", "startedAt", "stoppedAt", "finalizedAt", "timeoutAt")
        status = {
            "state": "QUEUED",
            "exitCode": None,
            "duration": 0,
            "info": {"code": "JOB_QUEUED", "message": "Job submitted"},
            "history": [{"state": "QUEUED", "date": time}],
            "queuedAt": time,
            "lastTransitionDate": time,
            **dict.fromkeys(times),
            "ip": "",
            "externalIp": None,
            "url": f"https://{job_id}.job.{host}",
            "infoUrl": f"https://ui.{host}/job/{job_id}",
            "monitoringUrl": None,
            "sshUrl": None,
            "grpcAddress": "",
            "volumes": [
                {
                    "id": str(uuid.uuid4()),
                    "userVolumeId": str(uuid.uuid4()),
                    "mountPath": volume.mount_path,
                    "lastPulledCreatedAt": None,
                    "lastPushedCreatedAt": None,
                }
                for volume in spec.volumes
            ],
            "dataSync": None,
        }
        return {
            "id": job_id,
            "createdAt": time,
            "updatedAt": time,
            "user": user,
            "spec": sent,
            "status": status,
        }
