"""The native neural-surface engine; `engine` is its public face."""

import os

# Read by OpenMP when torch loads: threads that wait for each other sleep instead of spinning.
# With another busy process on the same cores, spinning costs eight times the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
