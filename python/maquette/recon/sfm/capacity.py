"""How a set of photos is mapped: whole or in clusters, by its number and the memory there is."""

from __future__ import annotations

from maquette.errors import JobFailed
from maquette.recon.sfm.mapping import TRACKS_PER_IMAGE
from maquette.recon.system_memory import memory_bytes

ONE_BY_ONE = 300  # photos: up to here the incremental mapper comes first
_TOGETHER = 3000
_SMALLEST, _LARGEST = 250, 500  # clusters
# Of a track while all poses are solved at once, from reports of runs with millions of tracks.
_TRACK_BYTES = 11_000


def needed_bytes(images: int, matches: int) -> int:
    """The memory that mapping takes; there are no more tracks than verified matches."""
    return _TRACK_BYTES * min(TRACKS_PER_IMAGE * images, matches)


def cluster_size(images: int, matches: int, wanted: int = 0) -> int:
    """How many photos are mapped together; 0: all.

    Args:
        matches: Verified ones of all pairs.
        wanted: What a person asked for.

    Raises:
        JobFailed: not even a cluster fits into the memory.
    """
    if wanted:
        return wanted if images > wanted else 0
    memory, needed = memory_bytes(), needed_bytes(images, matches)
    if images <= _TOGETHER and needed <= memory:
        return 0
    fitting = int(_LARGEST * memory / needed_bytes(_LARGEST, matches)) if matches else _LARGEST
    if fitting < min(images, _SMALLEST):
        raise JobFailed(
            f"mapping {images:,} photos takes about {needed / 2**30:.1f} GB of memory, and "
            f"{needed_bytes(_SMALLEST, matches) / 2**30:.1f} GB in the smallest clusters; this "
            f"machine has {memory / 2**30:.1f} GB",
            hint="use a larger machine, or fewer photos (a video: FRAMES=200)",
        )
    return min(fitting, _LARGEST)
