"""A segmentor whose predictions are known, and configurations of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import BaseSegmentor
from mmseg.registry import MODELS

CONFIGS = Path(__file__).parents[3] / "configs"


@MODELS.register_module(force=True)
class KnownMaps(BaseSegmentor):
    """Predicts what lies in a folder, one `.npy` an image, named as its file without suffix."""

    def __init__(self, folder, **kwargs):
        super().__init__(data_preprocessor={"type": "SegDataPreProcessor"}, **kwargs)
        self.folder = Path(folder)

    def predict(self, inputs, data_samples):
        for sample in data_samples:
            labels = np.load(self.folder / f"{Path(sample.img_path).stem}.npy")
            sample.pred_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
        return data_samples

    def extract_feat(self, inputs):
        raise NotImplementedError

    encode_decode = loss = _forward = extract_feat


@pytest.fixture
def known(tmp_path):
    """Write the configuration of a data set with known predictions."""

    def write(base, predictions, more=""):
        folder = tmp_path / "predictions"
        folder.mkdir(exist_ok=True)
        for name, labels in predictions.items():
            np.save(folder / f"{name}.npy", labels)
        path = tmp_path / "known.py"
        path.write_text(
            f"_base_ = [{str(CONFIGS / '_base_/default_runtime.py')!r}, "
            f"{str(CONFIGS / '_base_/datasets' / base)!r}]\n"
            f"model = dict(type='KnownMaps', folder={str(folder)!r})\n"
            f"test_dataloader = dict(num_workers=0, persistent_workers=False)\n{more}"
        )
        return str(path)

    return write
