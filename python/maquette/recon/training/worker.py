"""A process that helps the leader of a training run: `python -m maquette.recon.training.worker`.

It computes gradients for its share of every batch, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from maquette.errors import MaquetteError
from maquette.recon import stopping
from maquette.recon.training import checkpoint_files, workers
from maquette.recon.training.process_group import ProcessGroup, use_threads
from maquette.recon.training.starting import begin, method_of


def main() -> int:
    """Follow until the leader has enough."""
    arguments = _parser().parse_args()
    stopping.install()
    use_threads(arguments.world)
    try:
        method, checkpoint = method_of(arguments.method), arguments.checkpoint
        state = checkpoint_files.read(checkpoint, method.form) if checkpoint else None
        place = ProcessGroup(arguments.rank, arguments.world)
        trainable = method.build(json.loads(arguments.arguments), place, state)
        store = workers.store_at(arguments.address, arguments.world)
        workers.join(store, arguments.rank, arguments.world)
        begin(trainable, state, place)
        with stopping.deferred():  # the leader decides when to stop
            while place.agree(True, trainable.device):
                trainable.step()
    except MaquetteError as error:
        print(f"training process {arguments.rank}: {error.what}", flush=True)
        return int(error.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", required=True, help="dotted name of the module with METHOD")
    parser.add_argument("--arguments", required=True, help="of its builder, a JSON object")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--address", required=True, help="host:port of the leader")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--world", type=int, required=True, help="processes in all")
    return parser


if __name__ == "__main__":
    os._exit(main())  # not through torch's exit handlers, which may wait for a lost leader
