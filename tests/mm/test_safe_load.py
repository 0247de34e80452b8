"""mmengine's checkpoints load safely; hostile ones do not load."""

import pickle
import pickletools

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

from ovseg.errors import CheckpointError
from ovseg.mm.safe_load import read_runner_checkpoint
from ovseg.weights.pickle_names import history_statistic
from ovseg.weights.safe_pickle import PickleError, Standin


def round_trip(thing, tmp_path):
    torch.save(thing, tmp_path / "file.pth")
    return read_runner_checkpoint(tmp_path / "file.pth")


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
    with pytest.raises(CheckpointError, match="refused"):
        round_trip({"state_dict": Reduces(function, *arguments)}, tmp_path)


def test_the_stand_in_answers_for_four_names_of_one_class():
    history = Standin("mmengine.logging.history_buffer.HistoryBuffer")
    for name in ("min", "max", "mean", "current"):
        assert history_statistic(history, name).state is None
    for owner, name in [
        (history, "update"),
        (object(), "mean"),
        (Standin("builtins.type"), "mean"),
    ]:
        with pytest.raises(PickleError, match="getattr"):
            history_statistic(owner, name)


def test_the_histories_really_name_getattr():
    data = pickle.dumps(HistoryBuffer([1.0], [1]), protocol=2)
    names = {arg for op, arg, _ in pickletools.genops(data) if op.name == "GLOBAL"}
    assert any("getattr" in name for name in names)


def test_names_of_numpy_1_are_known_too(tmp_path):
    data = pickle.dumps({"a": np.ones(2)}, protocol=2).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in data
    (tmp_path / "a.pkl").write_bytes(data)
    assert read_runner_checkpoint(tmp_path / "a.pkl")["a"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "history",
    [
        HistoryBuffer(np.ones((2, 2)), np.ones(2)),
        HistoryBuffer([1.0], [1], max_length=1 << 40),
    ],
    ids=["matrix", "endless"],
)
def test_histories_of_no_numbers_are_refused(tmp_path, history):
    with pytest.raises(CheckpointError, match="a history"):
        round_trip({"message_hub": history}, tmp_path)


def test_tensors_go_to_the_device_that_is_asked_for(tmp_path):
    torch.save({"a": [torch.ones(1)], "b": (torch.ones(1), 3)}, tmp_path / "file.pth")
    found = read_runner_checkpoint(tmp_path / "file.pth", map_location="meta")
    assert found["a"][0].is_meta
    assert found["b"][0].is_meta
    assert found["b"][1] == 3


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
