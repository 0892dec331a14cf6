"""A stage on a Ray cluster: its shards spread over the nodes, and a lost node costs its own."""

from __future__ import annotations

import io
import json
from pathlib import Path

import psutil
import pytest

from dense_ready import VIEWS, contents, make_ready
from job_making import LIMIT_S, ended, script_job
from maquette.errors import MaquetteError
from maquette.jobs.spec import JobSpec
from maquette.recon.stages.dense import depthmaps, neighbours
from maquette.runners import tracking
from maquette.runners.ray import local_cluster
from maquette.runners.ray.local_cluster import LocalCluster
from maquette.runners.ray.runner import RayRunner
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from ray_cluster import RayCluster
from ray_jobs import CHOSEN, depth_job
from turns import linked_copy, made_once
from waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def node_of(cluster: LocalCluster, pid: int) -> psutil.Process | None:
    """The node that a process belongs to."""
    nodes = {int(str(known["pid"])) for known in cluster.processes}
    return next((each for each in psutil.Process(pid).parents() if each.pid in nodes), None)


def at_work(job: JobSpec, cluster: LocalCluster) -> dict[int, psutil.Process]:
    """The shards that work now, by the process of each, with their nodes."""
    found = {}
    for path in (job.scene / "stages" / "photogrammetry" / "depthmaps").glob("*.beat"):
        try:
            pid = json.loads(path.read_text())["pid"]
            found[pid] = node_of(cluster, pid)
        except (OSError, ValueError, psutil.NoSuchProcess):
            continue
    return {pid: node for pid, node in found.items() if node}


def test_a_node_that_dies_costs_its_shard_only_and_no_byte_is_another(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    cluster, runner, job = ray_cluster.cluster, RayRunner(), depth_job(tmp_path, ray_cluster)
    tracking.submit(job, runner)

    def both() -> list[psutil.Process]:
        nodes = list(at_work(job, cluster).values())
        return nodes if len({node.pid for node in nodes}) == 2 else []

    lost, _ = wait_for(both, LIMIT_S, "a shard on each node")
    local_cluster.end(lost)
    cluster.add_node()  # for what comes after; the job may use it or not
    document = ended(job)
    log = "\n".join(runner.logs(document["maquette"]["handle"], follow=False))
    assert document["status"]["state"] == "DONE", log
    assert log.count("begun again (1 of 3)") == 1 and "(2 of 3)" not in log

    alone = linked_copy(made_once("dense ready", make_ready), tmp_path / "alone")
    quiet = Progress(log=io.StringIO())
    stages = [neighbours.STAGE, depthmaps.STAGE]
    run_stages(stages, "process", Scene(alone, "photogrammetry"), CHOSEN, quiet)
    assert len(contents(alone)) == VIEWS and contents(job.scene) == contents(alone)


def test_a_gpu_that_the_cluster_lacks_is_told(ray_cluster: RayCluster, tmp_path: Path) -> None:
    job = depth_job(tmp_path, ray_cluster, gpus=1)
    tracking.submit(job, RayRunner())
    reason = ended(job)["maquette"]["reason"]
    assert "needs 1 GPU, no machine of the cluster has one" in reason["what"]
    assert "GPU=0" in reason["hint"]


def test_an_interpreter_without_maquette_is_told(ray_cluster: RayCluster, tmp_path: Path) -> None:
    settings = ray_cluster.settings(tmp_path)
    options = {**settings.backend_options, "ray_python": "/no/such/python"}
    settings = settings.model_copy(update={"backend_options": options})
    job = script_job(tmp_path, "true", settings=settings)
    tracking.submit(job, RayRunner())
    assert "the cluster's Python has no maquette" in ended(job)["maquette"]["reason"]["what"]


def test_a_cluster_that_is_gone_is_no_end_of_the_job(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    job = script_job(tmp_path, "true", settings=ray_cluster.settings(tmp_path))
    tracking.submit(job, RayRunner())
    ledger = tracking.ledger_of(job)

    def away(document: dict) -> None:
        document["maquette"]["handle"]["address"] = "http://127.0.0.1:9"

    ledger.update(job.id, away)
    with pytest.raises(MaquetteError, match="no Ray cluster answers"):
        tracking.refresh(ledger)
    assert ledger.read()["status"]["state"] not in ("FAILED", "ERROR", "DONE")
