"""Render photo sets of the ways in which people film, with their true cameras and surfaces.

    python samples/render_captures.py --out FOLDER [NAME ...]

Needs maquette with its extra `recon`. What is finished in the folder is not rendered again.
"""

import argparse
import sys
import time
from pathlib import Path

from captures.catalogue import CAPTURES, LARGE
from captures.writing import write_capture


def main():
    """Render the named captures, or all but the large one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = CAPTURES | LARGE
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, help="of the pictures, pixels")
    parser.add_argument("--photos", type=int, help="render only so many of each")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"no capture {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in arguments.names or CAPTURES:
        folder, start = arguments.out / name, time.monotonic()
        if (folder / "ground_truth.json").is_file():
            continue
        write_capture(name, known[name](), folder, arguments.width, arguments.photos)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
