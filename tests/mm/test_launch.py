"""Configurations, processes and errors of the tools over mmengine's Runner."""

import os

import pytest
import torch
from mmengine.config import Config
from torch import distributed
from torch.utils.data import DataLoader, Dataset

from ovseg.errors import ConfigError, DatasetError
from ovseg.mm.launch import choose_runner_device, plain_errors, process_group, read_config


def test_options_change_the_configuration(config_path):
    options = ["model.test_cfg.stride=28", "test_dataloader.dataset.size=(48,64)", "seed=[1,2]"]
    with pytest.raises(ConfigError, match=r"unknown key 'seed'"):
        read_config(config_path, options)
    config = read_config(config_path, options[:2])
    assert config.model.test_cfg.stride == 28
    assert tuple(config.test_dataloader.dataset["size"]) == (48, 64)


@pytest.mark.parametrize(
    ("option", "message"),
    [("model", "no '='"), ("test_dataloder.x=1", "did you mean 'test_dataloader'")],
)
def test_wrong_options_are_refused(config_path, option, message):
    with pytest.raises(ConfigError, match=message):
        read_config(config_path, [option])


def test_unreadable_configurations_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_config(tmp_path / "none.py")
    (tmp_path / "bad.py").write_text("model = dict(\n")
    with pytest.raises(ConfigError, match="bad.py: cannot be read"):
        read_config(tmp_path / "bad.py")
    (tmp_path / "base.py").write_text("_base_ = ['absent.py']\n")
    with pytest.raises(ConfigError, match=r"absent\.py"):
        read_config(tmp_path / "base.py")


def test_unknown_devices_are_refused():
    assert choose_runner_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="cuda:99"):
        choose_runner_device("cuda:99")


@pytest.fixture
def no_ranks(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_")) or name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
            monkeypatch.delenv(name)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that what the code sets is undone
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        ("pytorch", ("RANK", "WORLD_SIZE", "LOCAL_RANK")),
        ("slurm", ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")),
        (
            "mpi",
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
        ),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="with GPUs the Runner joins the group itself")
def test_a_group_on_cpu_is_joined_and_left(no_ranks, monkeypatch, free_port, launcher, told):
    config = Config({})
    with (
        pytest.raises(ConfigError, match=rf"{told[0]} is not set"),
        process_group(config, launcher),
    ):
        pass
    for name, value in zip(told, ("0", "1", "0"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="MASTER_ADDR"), process_group(config, launcher):
        pass
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(free_port))
    with process_group(config, launcher):
        assert distributed.get_world_size() == 1
        assert distributed.get_backend() == "gloo"
        assert config.launcher == launcher
        assert config.model_wrapper_cfg.device_ids is None
    assert not distributed.is_initialized()


def test_one_process_joins_no_group(no_ranks):
    config = Config({})
    with process_group(config, "none", local_rank=0):
        assert not distributed.is_initialized()
    assert config.launcher == "none"
    assert "model_wrapper_cfg" not in config


class Broken(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DatasetError("id 40", where="a.png", fix="check"), "a.png: id 40; to fix: check"),
        (FileNotFoundError(2, "No such file", "b.png"), "[Errno 2] No such file: 'b.png'"),
    ],
)
def test_errors_of_workers_come_without_their_traceback(error, message):
    with pytest.raises(DatasetError) as caught, plain_errors():
        list(DataLoader(Broken(error), num_workers=1))
    assert str(caught.value) == message


def test_mistakes_in_configurations_are_named():
    from mmseg.registry import DATASETS

    with pytest.raises(ConfigError, match="SceneDatset is not in"), plain_errors():
        DATASETS.build({"type": "SceneDatset"})
    with pytest.raises(ConfigError, match="'color'"), plain_errors():
        DATASETS.build({"type": "SceneDataset", "color": 1})
    with pytest.raises(KeyError, match="other"), plain_errors():
        raise KeyError("other")
