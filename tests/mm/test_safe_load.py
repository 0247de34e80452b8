"""mmengine's checkpoints load safely; hostile ones do not load."""

import pickle
import pickletools

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

from ovseg.mm.safe_load import _statistic_of_history, allow_runner_checkpoints

allow_runner_checkpoints()


def round_trip(thing, tmp_path):
    torch.save(thing, tmp_path / "file.pth")
    return torch.load(tmp_path / "file.pth", weights_only=True)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "bool"])
def test_histories_of_the_runner_load(tmp_path, dtype):
    history = HistoryBuffer(np.arange(3).astype(dtype), np.ones(3, dtype="i8"))
    loaded = round_trip({"message_hub": {"loss": history}, "scalar": np.float64(2.5)}, tmp_path)
    assert loaded["message_hub"]["loss"].data[0].tolist() == history.data[0].tolist()
    assert loaded["message_hub"]["loss"].statistics("mean") == pytest.approx(
        history.statistics("mean")
    )
    assert loaded["scalar"] == 2.5


class Reduces:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (getattr, (HistoryBuffer, "__init__")),
        (getattr, (HistoryBuffer, "_set_default_statistics")),
        (getattr, (dict, "fromkeys")),
        (eval, ("1 + 1",)),
        (__import__, ("os",)),
    ],
    ids=["constructor", "private", "other-class", "eval", "import"],
)
def test_hostile_pickles_are_refused(tmp_path, function, arguments):
    with pytest.raises(pickle.UnpicklingError):
        round_trip({"state_dict": Reduces(function, *arguments)}, tmp_path)


def test_the_stand_in_answers_for_four_names_of_one_class():
    for name in ("min", "max", "mean", "current"):
        assert _statistic_of_history(HistoryBuffer, name) is getattr(HistoryBuffer, name)
    for owner, name in [(HistoryBuffer, "update"), (object(), "mean"), (type, "mro")]:
        with pytest.raises(pickle.UnpicklingError, match="refused getattr"):
            _statistic_of_history(owner, name)


def test_the_histories_really_name_getattr():
    data = pickle.dumps(HistoryBuffer([1.0], [1]), protocol=2)
    names = {arg for op, arg, _ in pickletools.genops(data) if op.name == "GLOBAL"}
    assert any("getattr" in name for name in names)


def test_names_of_numpy_1_are_known_too():
    known = {
        entry[1] if isinstance(entry, tuple) else entry.__name__
        for entry in torch.serialization.get_safe_globals()
    }
    for core in ("_core", "core"):
        assert f"numpy.{core}.multiarray.scalar" in known
        assert f"numpy.{core}.multiarray._reconstruct" in known


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode):
        return {"loss": self.layer(torch.stack(inputs)).square().mean()}


def runner(folder, iterations, **more):
    return Runner(
        model=Toy(),
        work_dir=str(folder),
        train_dataloader={
            "batch_size": 2,
            "sampler": {"type": "InfiniteSampler"},
            "dataset": [{"inputs": torch.ones(1)}] * 4,
        },
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": iterations},
        optim_wrapper={"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}},
        default_scope="mmseg",
        experiment_name=f"{folder.name}_{iterations}",
        **more,
    )


def test_a_training_of_the_runner_resumes(tmp_path):
    runner(tmp_path, 2).train()
    resumed = runner(tmp_path, 4, load_from=str(tmp_path / "iter_2.pth"), resume=True)
    resumed.train()
    assert resumed.iter == 4
    assert (tmp_path / "iter_4.pth").is_file()
