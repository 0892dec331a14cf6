"""A process that helps the leader of a training run: `python -m maquette.recon.surface.worker`.

It computes gradients for its share of every batch, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from maquette.errors import MaquetteError
from maquette.recon import stopping
from maquette.recon.surface import distributed, states
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.training import begin, build, use_threads
from maquette.scene.paths import Scene


def main() -> int:
    """Follow until the leader has enough."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--options", required=True, help="a JSON object")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--address", required=True, help="host:port of the leader")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--world", type=int, required=True, help="processes in all")
    arguments = parser.parse_args()
    stopping.install()
    use_threads(arguments.world)
    try:
        options = TrainingOptions(**json.loads(arguments.options))
        state = states.read(arguments.checkpoint) if arguments.checkpoint else None
        place = distributed.ProcessGroup(arguments.rank, arguments.world)
        trainer = build(Scene(arguments.scene), options, place, state)
        store = distributed.store_at(arguments.address, arguments.world)
        distributed.join(store, arguments.rank, arguments.world)
        begin(trainer, state)
        with stopping.deferred():  # the leader decides when to stop
            while trainer.goes_on(True):
                trainer.step()
    except MaquetteError as error:
        print(f"training process {arguments.rank}: {error.what}", flush=True)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    os._exit(main())  # not through torch's exit handlers, which may wait for a lost leader
