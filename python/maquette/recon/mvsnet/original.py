"""MVSNet as it was published, at a quarter of the pictures' size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maquette.recon.mvsnet import costs, planes, regression
from maquette.recon.mvsnet.layers import Conv2d, UNet3d
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.prediction import Prediction

_STRIDE = 4
_SLAB = 32  # planes
_FIRST = 8  # channels of the first 3-D layer
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


class FeatureNet(nn.Module):
    """Features of pictures: [N, 3, H, W] to [N, 32, H/4, W/4]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.conv1 = Conv2d(3, 8), Conv2d(8, 8)
        self.conv2, self.conv3, self.conv4 = Conv2d(8, 16, 5, 2), Conv2d(16, 16), Conv2d(16, 16)
        self.conv5, self.conv6 = Conv2d(16, 32, 5, 2), Conv2d(32, 32)
        self.feature = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        found = self.conv1(self.conv0(images))
        found = self.conv4(self.conv3(self.conv2(found)))
        return self.feature(self.conv6(self.conv5(found)))


class MVSNet(nn.Module):
    """Variance of features over D planes, a 3-D U-Net, soft argmin.

    Source: Yao et al., MVSNet, ECCV 2018; differs: leaky ReLU and no refinement network, as
    MVSNet_pl trains it.
    """

    strides = (_STRIDE,)
    mean: Tensor
    spread: Tensor

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.feature = FeatureNet()
        self.cost_regularization = UNet3d(32, levels=3)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    def forward(self, images: Tensor, projections: Tensor, depth_range: Tensor) -> Prediction:
        """See `networks.build`."""
        return self.sweep(list(map(self.extract, images.unbind(1))), projections, depth_range)

    def extract(self, images: Tensor) -> list[Tensor]:
        """Features of pictures [B, 3, H, W], a map for each of `strides`."""
        return [self.feature((images - self.mean) / self.spread)]

    def sweep(
        self, features: list[list[Tensor]], projections: Tensor, depth_range: Tensor
    ) -> Prediction:
        """`forward` from what `extract` gave of each view."""
        maps = [view[0] for view in features]
        matrices = planes.sweep_matrices(projections, _STRIDE)
        depths = planes.equal_depths(depth_range, self.options.n_depths)
        if self.training:
            cost = costs.variance(maps, matrices, depths, self.options.has_kernels)
            part = self.cost_regularization
            logits = costs.recomputed(part, cost, self.options.recomputes)
        else:
            logits = self._logits_by_slabs(maps, matrices, depths)
        probability = logits.float().softmax(1)
        depth = regression.expectation(probability, depths)
        with torch.no_grad():
            confidence = regression.confidence(probability)
        return Prediction(depth, confidence, (depth,), 1.0 / _STRIDE)

    def _logits_by_slabs(self, features: list[Tensor], matrices: Tensor, depths: Tensor) -> Tensor:
        """Logits [B, D, h, w]; of the cost volume never more than some planes are in memory.

        The first layer sees one plane on either side, so that slabs fit together exactly.
        """
        batch, _, height, width = features[0].shape
        count = depths.shape[1]
        first = features[0].new_empty(batch, count, height, width, _FIRST).permute(0, 4, 1, 2, 3)
        for start in range(0, count, _SLAB):
            low = max(0, start - 1)
            near = depths[:, low : start + _SLAB + 1]
            cost = costs.variance(features, matrices, near, self.options.has_kernels)
            made = self.cost_regularization.conv0(cost)
            skipped = start - low
            first[:, :, start : start + _SLAB] = made[:, :, skipped : skipped + _SLAB]
        return self.cost_regularization.after_first(first)
