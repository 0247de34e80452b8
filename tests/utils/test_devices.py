import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.utils.devices import (
    available_devices,
    choose_device,
    choose_precision,
)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_accelerator")
def test_auto_takes_the_cpu_when_there_is_nothing_else():
    assert available_devices() == ("cpu",)
    assert choose_device("auto") == choose_device("cpu") == "cpu"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("wish", "device"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_finds_a_gpu(wish, device):
    assert choose_device(wish) == device


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_beyond_the_last_is_refused_with_what_exists():
    with pytest.raises(ConfigError, match=r"cuda:7.*cuda:0, cuda:1"):
        choose_device("cuda:7")


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("wish", ["cuda", "cuda:0", "mps"])
def test_a_missing_accelerator_is_refused_with_what_exists(wish):
    with pytest.raises(ConfigError, match=f"'{wish}' does not exist here; expected one of: cpu"):
        choose_device(wish)


@pytest.mark.parametrize("wish", ["gpu", "cuda:", "cuda:x", "tpu", "", "cpu "])
def test_no_device_name(wish):
    with pytest.raises(ConfigError, match="unknown device"):
        choose_device(wish)


def test_precision_follows_the_device(monkeypatch):
    assert choose_precision("auto", "cpu") == choose_precision("auto", "mps") == "fp32"
    assert choose_precision("bf16", "cpu") == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert choose_precision("auto", "cuda:0") == "fp16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_precision("auto", "cuda:0") == "bf16"
    with pytest.raises(ConfigError, match="fp32, bf16, fp16"):
        choose_precision("int8", "cpu")


def test_a_precision_that_a_device_cannot_do_falls_back_with_a_notice(monkeypatch):
    for precision, device in (("fp16", "cpu"), ("bf16", "mps")):
        with pytest.warns(UserWarning, match="fp32 is used"):
            assert choose_precision(precision, device) == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.warns(UserWarning, match="fp16 is used"):
        assert choose_precision("bf16", "cuda:0") == "fp16"
