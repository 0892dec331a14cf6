"""What a network of multi-view stereo is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOptions:
    """Sizes of the networks; each variant reads its own.

    Attributes:
        n_depths: Planes of the variant `mvsnet`, equally spaced in depth.
        hypotheses: Of each stage of the variant `cascade`, coarse to fine, spaced in inverse depth.
        spread: Standard deviations on either side of a stage's depth that the next one looks at.
        has_kernels: Cost volumes by the fused kernels; False: by the plain twins.
        recomputes: Training keeps no activations of the 3-D part but computes them again in the
            backward pass: less memory, about a third more time.
    """

    n_depths: int = 192
    hypotheses: tuple[int, ...] = (48, 16, 8)
    spread: float = 1.5
    has_kernels: bool = True
    recomputes: bool = False
