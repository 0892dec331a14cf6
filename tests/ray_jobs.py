"""Jobs for a Ray cluster whose stage falls into shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dense_ready import OPTIONS, make_ready
from job_making import script_job
from maquette.jobs.spec import JobSpec
from maquette.pipelines.options import to_mapping
from ray_cluster import RayCluster
from turns import linked_copy, made_once

CHOSEN = replace(OPTIONS, until_stage="depthmaps", n_images_per_group=4, gpus=0)


def depth_job(folder: Path, cluster: RayCluster, **options: object) -> JobSpec:
    """Depth maps of a prepared scene, as a job."""
    job = script_job(folder, "", step="process", settings=cluster.settings(folder))
    words = ("maquette-step", "photogrammetry", "process")
    linked_copy(made_once("dense ready", make_ready), job.scene)
    return replace(
        job,
        pipeline="photogrammetry",
        command=(*words, "--scene", "{scene}", "--options", "{options}"),
        options={**to_mapping(CHOSEN), **options},
    )
