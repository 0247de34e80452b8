"""The stand-in for mmcv's compiled operators is asked last and refuses calls clearly."""

import importlib
import pkgutil
import sys

import pytest
from mmengine.utils.dl_utils.misc import mmcv_full_available

from ovseg.mm import mmcv_ext


@pytest.fixture
def no_ext(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)


@pytest.mark.usefixtures("no_ext")
def test_without_the_full_mmcv_an_operator_says_what_to_install():
    mmcv_ext.install()
    ext = importlib.import_module("mmcv._ext")
    with pytest.raises(mmcv_ext.MissingMMCVOp, match=r"'nms'.*mmcv-lite.*full mmcv") as caught:
        ext.nms(1, 2)
    assert caught.value.op == "nms"
    assert not hasattr(ext, "__wrapped__")
    assert ext.__spec__ is not None


@pytest.mark.usefixtures("no_ext")
def test_a_real_extension_is_never_shadowed(tmp_path, monkeypatch):
    import mmcv

    mmcv_ext.install()
    (tmp_path / "_ext.py").write_text("def nms():\n    return 'real'\n")
    monkeypatch.setattr(mmcv, "__path__", [*mmcv.__path__, str(tmp_path)])
    assert importlib.import_module("mmcv._ext").nms() == "real"


@pytest.mark.usefixtures("no_ext")
def test_a_broken_extension_fails_with_its_own_message(tmp_path, monkeypatch):
    import mmcv

    mmcv_ext.install()
    (tmp_path / "_ext.py").write_text("raise ImportError('undefined symbol')\n")
    monkeypatch.setattr(mmcv, "__path__", [*mmcv.__path__, str(tmp_path)])
    with pytest.raises(ImportError, match="undefined symbol"):
        importlib.import_module("mmcv._ext")


def test_installing_twice_adds_one_finder_at_the_end():
    mmcv_ext.install()
    before = list(sys.meta_path)
    mmcv_ext.install()
    assert sys.meta_path == before
    assert sum(isinstance(f, mmcv_ext._ExtFinder) for f in sys.meta_path) == 1


def test_other_modules_are_not_found_by_it():
    finder = mmcv_ext._ExtFinder()
    assert finder.find_spec("mmcv.other", None) is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mmcv._no_such_module")


def test_mmengine_can_ask_for_the_full_mmcv():
    mmcv_ext.install()
    assert mmcv_full_available() is True


def test_an_optimizer_with_parameter_rules_can_be_built():
    import torch
    from mmengine.optim import build_optim_wrapper

    mmcv_ext.install()
    wrapper = build_optim_wrapper(
        torch.nn.Linear(2, 2),
        {
            "type": "OptimWrapper",
            "optimizer": {"type": "SGD", "lr": 0.1},
            "paramwise_cfg": {"custom_keys": {"bias": {"lr_mult": 0.0}}},
        },
    )
    assert {group["lr"] for group in wrapper.param_groups} == {0.0, 0.1}


@pytest.mark.usefixtures("no_ext")
def test_mmengine_finds_the_stand_in_where_python_has_no_find_loader(monkeypatch):
    monkeypatch.delattr(pkgutil, "find_loader", raising=False)
    mmcv_ext.install()
    assert mmcv_full_available()
