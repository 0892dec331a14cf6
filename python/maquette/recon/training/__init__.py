"""One chassis for everything that trains; `runs.train` is its public face.

A method is a `Method` that builds a `Trainable` (trainable.py). Loop, checkpoints, exact resume,
several GPUs, metrics and previews are here, and know none of them.
"""

import os

# Read by OpenMP when torch loads: threads that wait for each other sleep instead of spinning.
# With another busy process on the same cores, spinning costs eight times the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
