"""What `images/gpus.yaml` promises, against what is installed here and said elsewhere."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
import torch
import warp
import yaml

from command_line import ROOT
from maquette.config.settings import Settings
from maquette.containers.variants import (
    IMAGES,
    NEWEST,
    check_fit,
    choose,
    variant_for,
    variants,
    warp_cuda,
)
from maquette.errors import ConfigError, NotFound
from maquette.pipelines.options import to_mapping
from maquette.planning.building import build_job, step_options
from maquette.planning.flavors import fallback_table
from maquette.recon import gpus
from maquette.recon.step import run_step
from maquette.recon.surface import merging
from maquette.recon.training.configuration import by_hardware
from maquette.runners.ovh.spec import body_of
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

TABLE = yaml.safe_load((IMAGES / "gpus.yaml").read_text())
WITH_GPU = [name for name, facts in TABLE["variants"].items() if facts["capabilities"]]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_warps_compiler_is_the_one_that_the_table_names() -> None:
    warp.init()
    assert warp.get_cuda_toolkit_version() == numbers(warp_cuda())


@pytest.mark.parametrize("name", WITH_GPU)
def test_warp_compiles_for_every_promised_capability(name: str) -> None:
    warp.init()
    promised = {int(capability.replace(".", "")) for capability in variants()[name].capabilities}
    assert promised <= set(warp.get_cuda_supported_archs())


@pytest.mark.parametrize("name", WITH_GPU)
def test_torch_has_code_for_every_promised_capability(name: str) -> None:
    """A GPU runs code of its own capability, and of smaller ones with the same first number."""
    code = [numbers(capability) for capability in TABLE["variants"][name]["torch_code"]]
    for capability in map(numbers, variants()[name].capabilities):
        assert any(have[0] == capability[0] and have[1] <= capability[1] for have in code)


@pytest.mark.parametrize("name", WITH_GPU)
def test_the_oldest_driver_runs_both_torchs_and_warps_code(name: str) -> None:
    generations = {numbers(cuda)[0] for cuda in (variants()[name].torch_cuda, warp_cuda())}
    needed = max(numbers(TABLE["drivers"][str(generation)]) for generation in generations)
    assert numbers(variants()[name].oldest_driver) == needed


@pytest.mark.parametrize("name", WITH_GPU)
def test_the_index_is_of_the_cuda_that_the_table_names(name: str) -> None:
    variant = variants()[name]
    assert variant.torch_index.endswith("/cu" + variant.torch_cuda.replace(".", ""))


def test_the_readme_names_the_build_for_older_drivers() -> None:
    pins = (ROOT / "python" / "constraints.txt").read_text()
    torch_pin = re.search(r"^torch==\S+", pins, re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert (
        torch_pin and f"{torch_pin[0]} --index-url {variants()[WITH_GPU[0]].torch_index}" in readme
    )
    assert all(".".join(map(str, driver)) in readme for driver in gpus.DRIVERS.values())


def test_the_newest_variant_has_the_torch_that_a_plain_install_takes() -> None:
    """The pins are those of PyPI's own wheel; recon/gpus.py tells who has an older driver."""
    pins = (ROOT / "python" / "constraints.txt").read_text()
    found = re.search(r"^cuda-toolkit==(\d+\.\d+)", pins, re.MULTILINE)
    assert found and found[1] == variants()[NEWEST].torch_cuda


def test_variants_stand_in_the_order_of_their_drivers() -> None:
    """The first that fits is then the one that asks least."""
    drivers = [numbers(variants()[name].oldest_driver) for name in WITH_GPU]
    assert drivers == sorted(drivers) and WITH_GPU[-1] == NEWEST


def test_every_gpu_and_every_flavor_has_an_image() -> None:
    for capability in TABLE["gpus"].values():
        assert capability in variants()[variant_for(capability)].capabilities
    for flavor, gpu in TABLE["flavors"].items():
        assert not gpu or gpu in TABLE["gpus"]
        assert choose(flavor, 1) == (variant_for(TABLE["gpus"][gpu]) if gpu else "cpu")


def test_both_tables_of_flavors_tell_the_same_gpu() -> None:
    assert TABLE["flavors"] == {name: flavor.gpu for name, flavor in fallback_table().items()}


def test_a_variant_without_code_for_the_flavors_gpu_is_refused_before_it_is_paid() -> None:
    job = build_job("process", Settings(backend="ovh", variant="cuda13"))
    with pytest.raises(ConfigError, match="no code for V100S, the GPU of ai1-1-gpu") as told:
        body_of(job)
    assert "VARIANT=cuda12" in told.value.hint
    with pytest.raises(ConfigError, match="no code for H100"):
        check_fit("cpu", "h100-1-gpu", 1)
    for fitting in (("cuda13", "h100-1-gpu", 1), ("cpu", "h100-1-gpu", 0), ("cuda13", "new", 1)):
        check_fit(*fitting)


def test_an_agent_on_a_rented_machine_knows_what_its_image_can_run() -> None:
    store = dict.fromkeys(("endpoint", "region", "bucket", "prefix"), "x") | {"host_style": False}
    command = body_of(build_job("process", Settings(backend="ovh")), store)["command"]
    told = " ".join(command)
    assert "--capabilities 7.0,7.5,8.0,8.6,8.9,9.0 --oldest-driver 525.60" in told


def test_both_planes_tell_the_same_oldest_drivers() -> None:
    assert {g: ".".join(map(str, d)) for g, d in gpus.DRIVERS.items()} == TABLE["drivers"]
    assert variants()[WITH_GPU[0]].torch_index.endswith(f"/{gpus.OLDER}")


@pytest.mark.parametrize(
    ("kernel_says", "torch_cuda", "told"),
    [
        ("NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May", "13.0", "older than 580.65"),
        ("NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Rel", "13.0", "finds no GPU"),
        ("NVIDIA UNIX x86_64 Kernel Module  470.42.01  Sun May", "12.6", "older than 525.60"),
        ("NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May", None, "on CPUs only"),
    ],
)
def test_a_gpu_that_is_left_alone_is_told(
    kernel_says: str, torch_cuda: str | None, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What torch of PyPI meets on an older driver; training would go on, slowly, on the CPU."""
    (tmp_path / "version").write_text(f"NVRM version: {kernel_says} 2026\nGCC version: gcc 12.2.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    assert told in gpus.why_unused(tmp_path / "version")
    assert gpus.why_unused(tmp_path / "none") == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # GPU=0
    assert gpus.why_unused(tmp_path / "version") == ""


def test_a_gpu_that_torch_has_no_code_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    code = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(gpus, "code", lambda: code)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla V100S-PCIE-32GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 0))
    with pytest.raises(ConfigError, match="no code for Tesla V100S") as told:
        gpus.check_code()
    assert "/whl/cu126" in told.value.hint
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (8, 9))
    gpus.check_code()


def test_which_code_runs_on_which_gpu() -> None:
    assert gpus.runs_on((10, 3), ["sm_100"]) and gpus.runs_on((11, 0), ["compute_100"])
    assert not gpus.runs_on((8, 0), ["sm_86", "sm_90", "compute_90"])


def test_the_automatic_preset_looks_at_what_training_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert by_hardware("auto", gpus=1) == "standard"
    assert by_hardware("auto", gpus=0) == "preview"
    assert by_hardware("full", gpus=0) == "full"
    chosen = merging.merge("auto", gpus=0), merging.merge("preview")
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("step", ["process", "extract"])
@pytest.mark.parametrize(("wanted", "seen"), [(0, ""), (2, "0,1")])
def test_a_step_without_gpus_sees_none(
    step: str, wanted: int, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it: the environment of the backend is only one of the ways."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    told = step_options(step, Settings(model="shoe", gpu=wanted, base_dir=tmp_path))
    file = tmp_path / "options.json"
    file.write_text(json.dumps(to_mapping(told)))
    scene = Scene(tmp_path / "shoe", "neuralangelo")
    scene.stages.mkdir(parents=True)
    with pytest.raises(NotFound):  # there is nothing to train from; it looks for that afterwards
        run_step("neuralangelo", step, scene, file, Progress(None, io.StringIO()))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen
