"""A Ray cluster whose head is lost: the same job, sent again, goes on from the records."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dense_ready import VIEWS, contents
from job_making import LIMIT_S, ended
from maquette.errors import MaquetteError
from maquette.jobs.spec import new_job_id
from maquette.runners import tracking
from maquette.runners.ray import local_cluster
from maquette.runners.ray.runner import RayRunner
from ray_cluster import VARIABLE, RayCluster, missing_ray
from ray_jobs import depth_job
from waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_lost_head_costs_no_shard_that_is_done(tmp_path: Path) -> None:
    if reason := missing_ray():
        pytest.skip(reason)
    python, runner = os.environ[VARIABLE], RayRunner()
    first = local_cluster.start(python, 1, port=0, ends_with_us=True)
    try:
        job = depth_job(tmp_path, RayCluster(first))
        tracking.submit(job, runner)
        records = job.scene / "stages" / "photogrammetry" / "depthmaps"
        wait_for(lambda: list(records.glob("*-of-*.json")), LIMIT_S, "a shard's record")
    finally:
        first.stop()
    ledger, done = tracking.ledger_of(job), written(records)
    with pytest.raises(MaquetteError, match="no Ray cluster answers"):
        tracking.refresh(ledger)

    port = int(first.address.rpartition(":")[2])
    second = local_cluster.start(python, 1, port, ends_with_us=True)
    try:
        assert "does not know the job" in tracking.refresh(ledger)["maquette"]["reason"]["what"]
        again = replace(job, id=new_job_id("process"))
        tracking.submit(again, runner)
        assert ended(again)["status"]["state"] == "DONE"
    finally:
        second.stop()
    assert done.items() <= written(records).items() and len(contents(job.scene)) == VIEWS


def written(records: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in records.glob("*-of-*.json")}
