"""What an image needs of the project: the data plane, and the little that the agent uses."""

import re
import sys
import tomllib
from pathlib import Path

AGENT = ("boto3", "isal", "numpy", "pathspec", "pyyaml")
GPU_PARTS = ("nvidia-", "cuda-", "triton")  # each build of torch names its own, exactly


def name_of(requirement: str) -> str:
    """The package that a requirement is about."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def main(pyproject: Path, constraints: Path) -> None:
    """Write requirements.txt and pins.txt into the working folder."""
    project = tomllib.loads(pyproject.read_text())["project"]
    wanted = [item for item in project["dependencies"] if name_of(item) in AGENT]
    wanted += project["optional-dependencies"]["recon"]
    Path("requirements.txt").write_text("\n".join(wanted) + "\n")
    pins = constraints.read_text().splitlines()
    kept = [line for line in pins if not line.startswith(GPU_PARTS)]
    Path("pins.txt").write_text("\n".join(kept) + "\n")


main(Path(sys.argv[1]), Path(sys.argv[2]))
