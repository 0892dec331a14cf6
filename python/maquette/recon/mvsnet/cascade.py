"""A cascade of plane sweeps from a quarter of the pictures' size to the whole."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from maquette.recon.mvsnet import costs, planes, regression
from maquette.recon.mvsnet.layers import Conv2d, UNet3d
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.prediction import Prediction, Sweep

_STRIDES = (4, 2, 1)  # of the stages, coarse to fine
_CHANNELS = (32, 16, 8)
_GROUPS = (8, 8, 4)
# Rows of a transposed convolution of stride 2 that does what one of 3 does to doubled pixels.
_DOUBLING = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_RADIUS = 2  # hypotheses on either side of the maximum that the depth is made of
_LEAST_STEP = 0.25  # of the spacing of the stage before: the finest that a stage's own may be


class FeaturePyramid(nn.Module):
    """Features of pictures [N, 3, H, W] at 1/4, 1/2 and 1 of their size, 32, 16 and 8 channels.

    Source: Lin et al., Feature pyramid networks, CVPR 2017; widths as Gu et al., CasMVSNet, 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(Conv2d(3, 8), Conv2d(8, 8))
        self.conv1 = nn.Sequential(Conv2d(8, 16, 5, 2), Conv2d(16, 16), Conv2d(16, 16))
        self.conv2 = nn.Sequential(Conv2d(16, 32, 5, 2), Conv2d(32, 32), Conv2d(32, 32))
        self.inner1, self.inner2 = nn.Conv2d(16, 32, 1), nn.Conv2d(8, 32, 1)
        self.out1 = nn.Conv2d(32, 32, 1, bias=False)
        self.out2 = nn.Conv2d(32, 16, 3, padding=1, bias=False)
        self.out3 = nn.Conv2d(32, 8, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        whole = self.conv0(images)
        half = self.conv1(whole)
        coarse = self.conv2(half)
        middle = _raised(coarse, half.shape) + self.inner1(half)
        return [self.out1(coarse), self.out2(middle), self._finest(middle, whole)]

    def _finest(self, middle: Tensor, whole: Tensor) -> Tensor:
        """`out3` of the doubled `middle` + `inner2` of `whole`.

        Nothing bends between these layers, so they are one convolution of each of the two maps,
        and the sum of 32 channels at the pictures' size is never made.
        """
        if whole.shape[2] % 2 or whole.shape[3] % 2:  # half a pixel of `middle` is outside
            return self.out3(_raised(middle, whole.shape) + self.inner2(whole))
        kernel = self.out3.weight  # [8, 32, 3, 3]
        own = torch.einsum("ocyx,ci->oiyx", kernel, self.inner2.weight[:, :, 0, 0])
        doubling = kernel.new_tensor(_DOUBLING)
        onto_doubled = torch.einsum("ocyx,ty,sx->cots", kernel, doubling, doubling)
        assert self.inner2.bias is not None
        biased = middle + self.inner2.bias[:, None, None]
        raised = functional.conv_transpose2d(biased, onto_doubled, None, 2, 1)
        return raised + functional.conv2d(whole, own, None, 1, 1)


def _raised(features: Tensor, shape: torch.Size) -> Tensor:
    return functional.interpolate(features, size=shape[2:], mode="nearest")


class ViewWeight(nn.Module):
    """How much a pixel trusts a view: similarities [B, G, D, h, w] to a weight [B, 1, 1, h, w].

    Source: Wang et al., PatchmatchNet, CVPR 2021, section 3.2 (pixel-wise view weight).
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(groups, 8, 1), nn.LeakyReLU(0.01, inplace=True), nn.Conv3d(8, 1, 1)
        )

    def forward(self, similarity: Tensor) -> Tensor:
        return torch.sigmoid(self.layers(similarity).amax(2, keepdim=True))


class Cascade(nn.Module):
    """Three plane sweeps, each around the depth of the one before.

    Source: Gu et al., Cascade cost volume, CVPR 2020; differs: group-wise correlation (Xu & Tao,
    CIDER, AAAI 2020), hypotheses in inverse depth, and the interval of a stage by what the one
    before is unsure of (Cheng et al., UCS-Net, CVPR 2020).
    """

    strides = _STRIDES

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.feature = FeaturePyramid()
        self.view_weight = ViewWeight(_GROUPS[0])
        self.regularization = nn.ModuleList([UNet3d(groups, levels=2) for groups in _GROUPS])

    def forward(self, images: Tensor, projections: Tensor, depth_range: Tensor) -> Prediction:
        """See `networks.build`."""
        return self.sweep(list(map(self.extract, images.unbind(1))), projections, depth_range)

    def extract(self, images: Tensor) -> list[Tensor]:
        """Features of pictures [B, 3, H, W], a map for each of `strides`."""
        together = (2.0 * images - 1.0).contiguous(memory_format=torch.channels_last)
        pyramid: list[Tensor] = self.feature(together)
        return pyramid

    def sweep(
        self, features: list[list[Tensor]], projections: Tensor, depth_range: Tensor
    ) -> Prediction:
        """`forward` from what `extract` gave of each view; their sizes may differ."""
        count = self.options.hypotheses
        depths = planes.inverse_depths(depth_range, count[0])[..., None, None]
        weights: list[Tensor] = []
        expected, sureness, sweeps = [], [], []
        for stage, stride in enumerate(_STRIDES):
            views = [pyramid[stage] for pyramid in features]
            matrices = planes.sweep_matrices(projections, stride)
            cost, weights = self._cost(stage, views, matrices, depths, weights)
            part = self.regularization[stage]
            logits = costs.recomputed(part, cost, self.training and self.options.recomputes)
            inverse, logits = depths.reciprocal(), logits.float()
            probability = logits.softmax(1)
            expected.append(regression.expectation(probability, inverse).reciprocal())
            if self.training:
                sweeps.append(Sweep(logits, inverse))
            with torch.no_grad():
                mean = regression.expectation(regression.windowed(probability, _RADIUS), inverse)
                sureness.append(self._sureness(probability))
                if stage + 1 < len(_STRIDES):
                    height, width = features[0][stage + 1].shape[2:]
                    off = self._unsure(probability, inverse, mean, count[stage + 1])
                    mean, off = (planes.doubled(one, height, width) for one in (mean, off))
                    depths = planes.narrowed(mean.reciprocal(), off, depth_range, count[stage + 1])
        sure = _least(sureness)
        return Prediction(mean.reciprocal(), sure, tuple(expected), 1.0, True, tuple(sweeps))

    def _sureness(self, probability: Tensor) -> Tensor:
        """Confidence [B, h, w] of a stage; 0 in training, where nobody reads it."""
        if self.training:
            return torch.zeros_like(probability[:, 0])
        return regression.confidence(probability)

    def _cost(
        self, stage: int, views: list[Tensor], matrices: Tensor, depths: Tensor,
        weights: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
        """The weighted mean of the views' similarities, [B, G, D, h, w], and their weights."""
        if stage:
            size = views[0].shape[2:]
            weights = [functional.interpolate(one[:, 0], size, mode="nearest")[:, None]
                       for one in weights]  # fmt: skip
            if not torch.is_grad_enabled():
                return self._mean(stage, views, matrices, depths, weights), weights
        total: Tensor | None = None
        found = []
        for index, (other, matrix) in enumerate(zip(views[1:], matrices, strict=True)):
            similarity = costs.correlation(
                views[0], other, matrix, depths, _GROUPS[stage], self.options.has_kernels
            )
            weight = weights[index] if stage else self.view_weight(similarity)
            found.append(weight)
            total = similarity * weight if total is None else total.addcmul(similarity, weight)
        assert total is not None
        return total / (torch.stack(found).sum(0) + 1e-6), found

    def _mean(
        self, stage: int, views: list[Tensor], matrices: Tensor, depths: Tensor,
        weights: list[Tensor],
    ) -> Tensor:  # fmt: skip
        """The same without gradient; no view's similarities are ever in memory."""
        batch, _, height, width = views[0].shape
        shape = batch, depths.shape[1], height, width, _GROUPS[stage]
        total = views[0].new_zeros(shape, dtype=torch.float32).permute(0, 4, 1, 2, 3)
        whole = torch.stack(weights).sum(0) + 1e-6
        for other, matrix, weight in zip(views[1:], matrices, weights, strict=True):
            share = (weight / whole).float()
            costs.add_correlation(
                total, views[0], other, matrix, depths, share, self.options.has_kernels
            )
        return total

    def _unsure(self, probability: Tensor, inverse: Tensor, mean: Tensor, count: int) -> Tensor:
        """How far the next stage looks on either side, [B, h, w] in 1/depth.

        At most what this stage looked at, and at least so far that its spacing is a quarter of
        this stage's.
        """
        whole = (inverse[:, -1] - inverse[:, 0]).abs()
        spacing = whole / (probability.shape[1] - 1)
        off = self.options.spread * regression.deviation(probability, inverse, mean)
        least = 0.5 * (count - 1) * _LEAST_STEP * spacing
        return torch.minimum(torch.maximum(off, least), 0.5 * whole)


def _least(maps: list[Tensor]) -> Tensor:
    """The smallest of maps [B, h, w] of all stages at the size of the finest."""
    size = maps[-1].shape[1:]
    raised = [functional.interpolate(one[:, None], size, mode="nearest")[:, 0] for one in maps]
    return torch.stack(raised).amin(0)
