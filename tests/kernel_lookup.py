"""What Warp would look for on machines with GPUs: `python kernel_lookup.py EVERY CAPABILITY …`.

It prints, as JSON, each file that a launch would take, and whether Warp would compile it first; of
every so many modules.
No driver and no GPU are needed: Warp's own search is asked, for devices that only seem to be there.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

import warp as wp
from warp._src import build, context

from maquette.recon import kernel_cache

# CUDA of the driver: one that is older than Warp's compiler, one as new, one newer.
DRIVERS = ((12, 0), (12, 9), (13, 0))
BLOCK = inspect.signature(wp.launch).parameters["block_dim"].default


class Compiled(Exception):
    """Something that should have been in the cache."""


def refuse(*_: Any, **__: Any) -> None:
    raise Compiled


class FakeGpu(context.Device):
    """A GPU as far as the search for a compiled module looks at one."""

    context = 1

    def __init__(self, architecture: int) -> None:
        self.runtime = context.runtime
        self.arch, self.ordinal, self.alias = architecture, 0, "cuda:0"
        self.is_cubin_supported = architecture in context.runtime.nvrtc_supported_archs


def lookups(capability: str, every: int) -> Iterator[dict[str, Any]]:
    gpu = FakeGpu(int(capability.replace(".", "")))
    runtime = context.runtime
    runtime.default_ptx_arch = gpu.arch if gpu.arch >= 75 else 75  # as Runtime.__init__ does
    for runtime.driver_version in DRIVERS:
        for module in list(kernel_cache.modules())[::every]:
            module.get_module_hash(BLOCK)
            name = module._get_compile_output_name(gpu, block_dim=BLOCK)
            options = module.resolved_options[BLOCK]
            try:
                # What Module.load does before it loads.
                compiled = module._compile(gpu, None, name, gpu.get_cuda_compile_arch(),
                                           options=options)  # fmt: skip
            except Compiled:
                compiled = True
            yield {"file": name, "driver": runtime.driver_version, "compiled": compiled}


if __name__ == "__main__":
    build.build_cpu = build.build_cuda = refuse  # the CPU's kernels too must all be there
    kernel_cache.modules()
    every, *capabilities = sys.argv[1:]
    print(json.dumps([found for word in capabilities for found in lookups(word, int(every))]))
