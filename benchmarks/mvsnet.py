"""How long the networks of learned multi-view stereo take, and how much memory, beside a twin.

    python benchmarks/mvsnet.py [--json] [--cases train infer cascade crop] [--quick]

Each case is a process of its own. The twin is the same network with warped features by grid_sample
in memory. Times are those of the processor, all threads together: they hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

SIZES = {"train": (640, 512, 3), "infer": (640, 512, 3), "cascade": (800, 600, 5),
         "crop": (192, 128, 3)}  # fmt: skip
TRAINS = ("train", "crop")
WHAT = {
    "train": "mvsnet, a step of training, 3 views of 640×512, 192 planes",
    "infer": "mvsnet, a depth map, 3 views of 640×512, 192 planes",
    "cascade": "cascade, a depth map of 800×600 from 5 views",
    "crop": "cascade, a step of training, 3 views of 192×128",
}
TOOLS = ("maquette", "twin")


def main() -> int:
    """Measure each case with both tools and print a table, or one JSON object a row."""
    parser = argparse.ArgumentParser(description="speed and memory of the networks")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="an eighth of the pixels")
    parser.add_argument("--cases", nargs="*", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.quick)))
        return 0
    for case in arguments.cases:
        for tool in TOOLS:
            command = [sys.executable, __file__, "--one", case, tool]
            done = subprocess.run([*command, *["--quick"] * arguments.quick], check=True,
                                  capture_output=True, text=True)  # fmt: skip
            for metric, (value, unit) in json.loads(done.stdout.splitlines()[-1]).items():
                row = {"case": WHAT[case], "tool": tool, "metric": metric, "value": value,
                       "unit": unit}  # fmt: skip
                words = f"{WHAT[case]:<58} {tool:<8} {metric:<9} {value:>8} {unit}"
                print(json.dumps(row) if arguments.json else words, flush=True)
    return 0


def measure(case: str, tool: str, quick: bool) -> dict[str, tuple[float, str]]:
    """Processor time of the second run, and the largest memory of both."""
    import torch

    from maquette.recon.mvsnet import networks
    from maquette.recon.mvsnet.options import NetworkOptions

    torch.manual_seed(0)
    width, height, views = SIZES[case]
    if quick:
        width, height = width // 4, height // 4
    options = NetworkOptions(n_depths=192, has_kernels=tool == TOOLS[0])
    network = networks.build(WHAT[case].partition(",")[0], options)
    network.train(case in TRAINS)
    told = (torch.rand(1, views, 3, height, width), _projections(views, width, height),
            torch.tensor([[425.0, 935.0]]))  # fmt: skip
    seconds = 0.0
    for _ in range(2):
        clock = time.process_time()
        with torch.set_grad_enabled(case in TRAINS):
            found = network(*told)
        if case in TRAINS:
            torch.autograd.backward(torch.stack([one.mean() for one in found.stages]).sum())
            network.zero_grad()
        seconds = time.process_time() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"time": (round(seconds, 2), "cpu s"), "memory": (round(peak, 2), "GB")}


def _projections(views: int, width: int, height: int):
    """Cameras side by side, 60 mm apart, before a scene in DTU's range."""
    import torch

    found = torch.eye(4).repeat(views, 1, 1)
    found[:, 0, 0] = found[:, 1, 1] = 1.1 * width
    found[:, 0, 2], found[:, 1, 2] = width / 2, height / 2
    found[:, 0, 3] = 1.1 * width * 60.0 * torch.arange(views)
    return found[None]


if __name__ == "__main__":
    sys.exit(main())
