"""Each kernel beside its plain twin: on this CPU, and on the GPU where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from cuda_device import DEVICES
from maquette.recon import kernel_checks
from maquette.recon.kernel_checks import Case, compare


@pytest.mark.parametrize("device", DEVICES)
def test_every_kernel_agrees_with_its_twin(device: str) -> None:
    """Small inputs on the CPU, all on a GPU; memory is poisoned before a kernel writes to it."""
    where = torch.device(device)
    results = [compare(case, where, runs=1) for case in cases(where)]
    assert {
        "hash grid", "hash grid gradient", "samples along rays", "PatchMatch sweep",
        "agreement of depth maps", "fusion of depth maps", "splats", "splats gradient",
        "variance of views", "variance of views, gradient", "correlation of views",
        "correlation of views, gradient", "correlation of views, added",
    } <= {result.kernel for result in results}  # fmt: skip
    assert not [result for result in results if not result.agrees]


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_input_gives_the_same_result_each_time(device: str) -> None:
    """Exactly on the CPU; on a GPU sums are made in another order each time."""
    where = torch.device(device)
    for case in kernel_checks.cases(where, quick=True):
        allowed = 0.0 if device == "cpu" else case.allowed
        assert compare(replace(case, slow=case.fast, allowed=allowed), where, runs=1).agrees


def cases(where: torch.device) -> Iterator[Case]:
    return kernel_checks.cases(where, quick=where.type == "cpu")


def case_of(fast: torch.Tensor, slow: torch.Tensor) -> Case:
    return Case("made up", "-", lambda: fast, lambda: slow, 1e-5, 0)


def test_a_wrong_an_unwritten_and_a_misshapen_result_are_told() -> None:
    right = torch.rand(5, 3)
    wrong, unwritten = right.clone(), right.clone()
    wrong[4, 2] += 0.1
    unwritten[0, 0] = torch.nan
    cpu = torch.device("cpu")
    assert compare(case_of(right.clone(), right), cpu).agrees
    assert compare(case_of(right[:0], right[:0]), cpu).agrees  # nothing to compute
    assert not compare(case_of(wrong, right), cpu).agrees
    assert not compare(case_of(unwritten, right), cpu).agrees
    assert not compare(case_of(right[:4], right), cpu).agrees
    assert not compare(case_of(right.double(), right), cpu).agrees


def test_the_command_tells_the_machine_and_ends_with_1_when_a_kernel_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = torch.ones(3)
    monkeypatch.setattr(kernel_checks, "cases", lambda *_: [case_of(right, right)])
    assert kernel_checks.main(["--json"]) == 0
    machine, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert machine["warp-lang"] == "1.17.0" and "system" in machine and result["error"] == 0.0
    monkeypatch.setattr(kernel_checks, "cases", lambda *_: [case_of(right, 2 * right)])
    assert kernel_checks.main([]) == 1
    assert "DIFFERS" in capsys.readouterr().out
