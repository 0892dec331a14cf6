"""Ray machines that share no folder: the scene comes by a data store, and goes back there."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_ray_shards import node_of

from dense_ready import VIEWS, contents, make_ready
from job_making import LIMIT_S, ended
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.recon.stages.dense import depthmaps, neighbours
from maquette.runners import tracking
from maquette.runners.ray import local_cluster
from maquette.runners.ray.runner import RayRunner
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.storage import datastores
from maquette.storage.datastores import DataStore
from maquette.storage.embedded import Running
from ray_cluster import RayCluster
from ray_jobs import CHOSEN, depth_job
from s3_server import KEYS, place_in
from turns import linked_copy, made_once
from waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
BUCKET = "maquette-ray"


@pytest.fixture
def job(
    ray_cluster: RayCluster, server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobSpec:
    """Depth maps of a scene that no machine of the cluster sees; its keys are this terminal's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    datastores.add("NEURALANGELO", DataStore(server.location.endpoint, "us-east-1"))
    made = depth_job(tmp_path, ray_cluster)
    options = {**made.backend_options, "carry": "store", "ray_folder": str(tmp_path / "cluster")}
    model = f"of-{abs(hash(tmp_path))}"
    scene = made.scene.rename(made.scene.with_name(model))
    data = replace(made.data, model=model, bucket=BUCKET)
    return replace(made, model=model, scene=scene, data=data, backend_options=options)


def test_the_maps_are_those_of_one_process_though_a_node_dies(
    ray_cluster: RayCluster, job: JobSpec, server: Running, tmp_path: Path
) -> None:
    cluster, runner = ray_cluster.cluster, RayRunner()
    tracking.submit(job, runner)
    work = tmp_path / "cluster" / "shards" / BUCKET / job.model / "work"

    def at_work() -> list[int]:
        beats = work.glob(f"*/{job.model}/stages/photogrammetry/depthmaps/*.beat")
        return [json.loads(path.read_text())["pid"] for path in beats]

    ledger = tracking.ledger_of(job)

    def working() -> list[int] | bool:
        return at_work() or has_ended(tracking.refresh(ledger)["status"])

    wait_for(working, LIMIT_S, "a shard at work")
    nodes = [node for pid in at_work() if (node := node_of(cluster, pid))]
    assert nodes, list(runner.logs(ledger.read()["maquette"]["handle"], follow=False))
    (lost, *_) = nodes
    local_cluster.end(lost)
    cluster.add_node()
    document = ended(job)
    handle = document["maquette"]["handle"]
    log = "\n".join(runner.logs(handle, follow=False))
    assert document["status"]["state"] == "DONE", log
    assert "begun again (1 of 3)" in log
    for secret in (KEYS.secret_key, ".handover/"):
        assert secret not in json.dumps(document) and secret not in log

    alone = linked_copy(made_once("dense ready", make_ready), tmp_path / "alone")
    quiet, stages = Progress(log=io.StringIO()), [neighbours.STAGE, depthmaps.STAGE]
    run_stages(stages, "process", Scene(alone, "photogrammetry"), CHOSEN, quiet)
    assert len(contents(alone)) == VIEWS and contents(job.scene) == contents(alone)
    top = place_in(server.location.endpoint, "", BUCKET).objects() or {}
    assert not [path for path in top if path.startswith(".handover") or "/shards/" in path]
