"""The native neural-surface engine; `engine` is its public face."""

import maquette.recon.training  # noqa: F401  how threads wait is set before torch loads
