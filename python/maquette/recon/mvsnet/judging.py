"""Data that does not train: what it measures, a picture of it, and the best network so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch import distributed as group

from maquette.recon.mvsnet import losses
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch, SampleSource
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.pictures.depth_maps import colored
from maquette.recon.training.process_group import ProcessGroup
from maquette.scene.atomic import replacing

BEST = "best.pt"
BEST_FORMAT = "mvsnet best 1"
_ERROR_MM = 8.0  # that is drawn white
Predict = Callable[[Batch], Prediction]


class Judge:
    """Validation samples, which all processes of a run share.

    Args:
        limit: Samples at most, evenly chosen; 0: all.
    """

    def __init__(
        self, source: SampleSource | None, device: torch.device, processes: ProcessGroup,
        limit: int = 0,
    ) -> None:  # fmt: skip
        self._source, self._device, self._processes = source, device, processes
        count = len(source) if source is not None else 0
        chosen = np.linspace(0, count - 1, min(limit or count, count)).round().astype(int)
        self._chosen: list[int] = chosen.tolist()

    @property
    def has_samples(self) -> bool:
        """Whether there are any."""
        return bool(self._chosen)

    def shown(self) -> Batch | None:
        """The first sample; None without any."""
        return self._batch(self._chosen[0]) if self._chosen else None

    def _batch(self, index: int) -> Batch:
        assert self._source is not None
        return Batch.stacked([self._source[index, 0]], self._device)

    @torch.no_grad()
    def measure(self, predict: Predict) -> dict[str, float]:
        """Means over the samples, by name: the loss over all valid pixels, and `losses.METRICS`."""
        names = ("loss", *losses.METRICS)
        total = torch.zeros(2, len(names), dtype=torch.float64, device=self._device)
        for index in self._chosen[self._processes.rank :: self._processes.world]:
            batch = self._batch(index)
            prediction = predict(batch)
            row = losses.measured(prediction.depth.float(), batch)[0]
            loss = losses.smooth_l1(prediction, batch)
            found = torch.cat([loss[None], row]).double()
            has = torch.isfinite(found)  # a sample without valid pixels measures nothing
            total += torch.stack([torch.where(has, found, 0.0), has.double()])
        if self._processes.world > 1:
            group.all_reduce(total)
        means = (total[0] / total[1].clamp(min=1)).tolist()
        return dict(zip(names, means, strict=True))

    @torch.no_grad()
    def write_strip(self, path: Path, batch: Batch, predict: Predict) -> Sequence[Path]:
        """Write the reference, its true and its found depth, confidence and error side by side."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = strip(batch, predict(batch))
        with replacing(path) as temporary:
            Image.fromarray(picture).save(temporary, "PNG")
        return [path]


def strip(batch: Batch, prediction: Prediction) -> NDArray[np.uint8]:
    """Five pictures of a batch's first sample in a row, [h, 5·w, 3].

    The reference picture; its true depth; what was found, by the same colours where truth is
    known; how sure that is; and by how much it is wrong, white at 8 mm and more.
    """
    depth = prediction.depth[0].float()
    height, width = depth.shape
    truth, mask = (one[0] for one in losses.resampled(batch, height, width))
    step = round(batch.images.shape[3] / height)
    photo = batch.images[0, 0, :, ::step, ::step][:, :height, :width]
    error = (depth - truth).abs() / batch.unit[0] / _ERROR_MM * mask
    known = torch.where(mask, truth, 0.0)
    both = colored(np.concatenate([known.cpu().numpy(), depth.cpu().numpy()], axis=1))
    parts = [_grey(photo), both, _grey(prediction.confidence[0].float()), _grey(error)]
    return np.concatenate(parts, axis=1)


def _grey(values: Tensor) -> NDArray[np.uint8]:
    """[h, w] or [3, h, w] in 0..1 as [h, w, 3]."""
    stacked = values if values.dim() == 3 else values.expand(3, -1, -1)
    bytes_ = (stacked.clamp(0.0, 1.0) * 255.0).round().byte()
    found: NDArray[np.uint8] = bytes_.permute(1, 2, 0).cpu().numpy()
    return found


def write_best(
    folder: Path, network: nn.Module, options: TrainingOptions, best: dict[str, float]
) -> None:
    """Write the network that did best on the validation data as `best.pt` of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": BEST_FORMAT, "options": options.to_mapping(), "best": best,
        "network": {name: value.cpu() for name, value in network.state_dict().items()},
    }  # fmt: skip
    with replacing(folder / BEST) as temporary:
        torch.save(content, temporary)
