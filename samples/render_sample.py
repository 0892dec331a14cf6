"""Render the sample video of the owl and write its ground truth (see README.md here).

    python samples/render_sample.py

Rendered frames stay in a work folder and are not rendered again, so a stopped run continues.
"""

import argparse
import tempfile
from pathlib import Path

from camera_path import Film, world_from_cam
from footage import write_video
from ground_truth import write_ground_truth
from owl_scene import add_camera, build_scene, render_frame, set_renderer
from owl_shape import build_owl

NAME = "owl"


def parse_arguments():
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_work = Path(tempfile.gettempdir()) / f"maquette_sample_{NAME}"
    parser.add_argument("--work", type=Path, default=default_work, help="folder of the frames")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    parser.add_argument("--samples", type=int, default=8, help="light paths a pixel")
    parser.add_argument("--crf", type=int, default=22, help="quality of the video, lower is better")
    parser.add_argument("--frames", help="render only these, e.g. 0,40,80, and encode nothing")
    return parser.parse_args()


def render_missing(owl, film, indices, work, samples):
    """Render the frames that the work folder lacks."""
    missing = [index for index in indices if not frame_path(work, index).exists()]
    if not missing:
        return
    work.mkdir(parents=True, exist_ok=True)
    build_scene(owl)
    set_renderer(film, samples)
    camera = add_camera(film)
    for index in missing:
        unfinished = work / "unfinished.png"
        render_frame(camera, film, index, lambda moment: world_from_cam(moment, film), unfinished)
        unfinished.replace(frame_path(work, index))


def frame_path(work, index):
    """Where the clean render of a frame is kept."""
    return work / f"frame_{index:04d}.png"


def main():
    """Render, encode, write the ground truth."""
    arguments, film, owl = parse_arguments(), Film(), build_owl()
    chosen = range(film.frame_count)
    if arguments.frames:
        chosen = [int(word) for word in arguments.frames.split(",")]
    render_missing(owl, film, chosen, arguments.work, arguments.samples)
    if arguments.frames:
        return
    folder = arguments.output / NAME
    folder.mkdir(parents=True, exist_ok=True)
    write_ground_truth(folder, owl, film)
    paths = [frame_path(arguments.work, index) for index in chosen]
    write_video(paths, film, arguments.output / f"{NAME}.mp4", arguments.crf)


if __name__ == "__main__":
    main()
