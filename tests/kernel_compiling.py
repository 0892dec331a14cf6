"""Compile our kernels for GPUs that are not here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from command_line import environment
from maquette.containers.variants import variants

# The modules of every so many, which the first word of the command line says.
_SOME = (
    "import sys; from pathlib import Path; from maquette.recon import kernel_cache as cache\n"
    "some = dict(list(cache.modules().items())[:: int(sys.argv[1])])\n"
    "cache.modules = lambda: some\n"
)
PROMISED = sorted({c for variant in variants().values() for c in variant.capabilities}, key=float)


def python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Another process: in this one other tests have made kernels that no preset needs."""
    return subprocess.run(
        [sys.executable, *words], env=environment(**variables), capture_output=True, text=True,
        check=False, timeout=800,
    )  # fmt: skip


def filled(folder: Path, capability: str, every: int) -> None:
    """Fill a cache as `python -m maquette.recon.kernel_cache` does, with every so many modules."""
    code = "sys.exit(cache.main(['--capabilities', sys.argv[2]]))"
    done = python("-c", _SOME + code, str(every), capability, WARP_CACHE_PATH=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def compiled_to_ptx(
    folder: Path, capabilities: tuple[str, ...], every: int = 1
) -> dict[str, list[Path]]:
    """Compile every kernel, or the modules of every so many, into a fresh folder; by capability."""
    code = "for word in sys.argv[3:]: cache.compile_for(word, True, Path(sys.argv[2]) / word)"
    done = python("-c", _SOME + code, str(every), str(folder), *capabilities)
    assert done.returncode == 0, done.stdout + done.stderr
    return {word: sorted((folder / word).rglob("*.ptx")) for word in capabilities}


def check_targets(files: dict[str, list[Path]]) -> None:
    assert len({len(found) for found in files.values()}) == 1  # every kernel for each of them
    for capability, found in files.items():
        assert found
        for path in found:
            assert f".target sm_{capability.replace('.', '')}\n" in path.read_text()
