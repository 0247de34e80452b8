"""A hostile file of weights is refused at every entrance, and nothing of it runs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

import ovseg
from ovseg.cli import main
from ovseg.errors import CheckpointError
from tests.hostile_files import (
    PICKLES,
    content,
    name,
    numbers,
    raw,
    text,
    tuple_of,
    write_torchscript,
)

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"
TEST = str(CONFIGS / "maskclip" / "maskclip_tiny_scenes.py")
TRAIN = str(CONFIGS / "clip_dinoiser" / "clip_dinoiser_tiny_scenes.py")
SMALL = [
    "--cfg-options",
    "train_cfg.max_iters=2",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "train_dataloader.dataset.count=8",
    "val_dataloader.dataset.count=1",
]


@pytest.fixture(params=["torchscript_with_setstate.pt", "structure.pkl", "array.pth"])
def evil(request, tmp_path, monkeypatch):
    """A hostile file in the current folder."""
    monkeypatch.chdir(tmp_path)
    if request.param.startswith("torchscript"):
        write_torchscript(tmp_path)
    elif request.param == "structure.pkl":
        Path(request.param).write_bytes(PICKLES["structure_denies_object"])
    else:
        # Among entries of a Runner's checkpoint, an array of objects over eight bytes.
        array = name("numpy.ndarray") + tuple_of(numbers(1), text("O8"), raw(b"A" * 8)) + b"R"
        with zipfile.ZipFile(request.param, "w") as archive:
            archive.writestr("archive/data.pkl", content(array))
            archive.writestr("archive/data/0", b"")
    yield request.param
    assert not Path("CANARY").exists()


def pretrained(path: str) -> dict:
    """A model as plain data whose CLIP is a file."""
    backbone = {"type": "ClipBackbone", "model": "asset:clip_tiny.json", "pretrained": path}
    return {
        "type": "OpenVocabSegmentor",
        "backbone": {**backbone, "act_layer": "quick_gelu"},
        "decode_head": {"type": "MaskClipHead"},
        "test_cfg": {"mode": "slide", "short_side": 112, "crop_size": 112, "stride": 56},
    }


def refused(words: list[str], capfd) -> None:
    assert main(words) == 1
    assert "refused" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_convert_weights(evil, capfd):
    refused(["convert-weights", evil, "out.safetensors"], capfd)
    assert not Path("out.safetensors").exists()


@pytest.mark.filterwarnings("ignore")
def test_segment(evil, capfd, image):
    image(Path("a.png"))
    Path("model.json").write_text(json.dumps({"model": pretrained(evil)}))
    refused(["segment", "a.png", "-c", "sky, sea", "--config", "model.json"], capfd)
    for model in ("maskclip-tiny", "clip-dinoiser-tiny", "mask-adapted-clip-tiny"):
        words = ["segment", "a.png", "-c", "sky, sea", "-m", model, "--checkpoint", evil]
        if evil.startswith("torchscript") and model == "maskclip-tiny":
            # OpenAI's archives have another activation than this model: said before it is read.
            assert main(words) == 2
        else:
            refused(words, capfd)


@pytest.mark.filterwarnings("ignore")
def test_test_and_train(evil, capfd):
    refused(["test", TEST, evil, "--limit", "1", "--work-dir", "work"], capfd)
    refused(["train", TRAIN, "--resume", evil, "--work-dir", "work", *SMALL], capfd)
    words = ["train", TRAIN, "--work-dir", "work", *SMALL, f"load_from={evil}"]
    refused(words, capfd)


@pytest.mark.filterwarnings("ignore")
def test_python_and_mmseg(evil):
    from mmseg.apis import init_model

    import ovseg.mm  # noqa: F401

    with pytest.raises(CheckpointError, match="refused"):
        ovseg.load("clip-dinoiser-tiny", checkpoint=evil)
    with pytest.raises(CheckpointError, match="refused"):
        init_model(TEST, evil, device="cpu")


def test_a_downloaded_checkpoint_is_read_the_same_way(tmp_path, monkeypatch, capsys):
    from mmengine.runner import CheckpointLoader

    import ovseg.mm  # noqa: F401

    write = tmp_path / "hub" / "checkpoints"
    write.mkdir(parents=True)
    (write / "evil.pth").write_bytes(PICKLES["system"])
    torch.save({"w": torch.ones(2)}, write / "good.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    address = "https://example.invalid/"
    found = CheckpointLoader.load_checkpoint(address + "good.pth")
    assert found["state_dict"]["w"].tolist() == [1.0, 1.0]
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        CheckpointLoader.load_checkpoint(address + "evil.pth")
    with pytest.raises(CheckpointError, match="OVSEG_OFFLINE"):
        CheckpointLoader.load_checkpoint(address + "absent.pth")
    with pytest.raises(CheckpointError, match="no weights of that name"):
        CheckpointLoader.load_checkpoint("torchvision://absent")


def test_a_program_from_outside_is_named_as_one(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(f"_base_ = {TEST!r}\n")
    words = ["test", "mine.py", "--limit", "1", "--work-dir", "work"]
    small = [
        "--cfg-options",
        "test_dataloader.num_workers=0",
        "test_dataloader.dataset.size=(48,64)",
    ]
    assert main([*words, *small]) == 0
    assert "mine.py: this configuration is a program" in capfd.readouterr().err
    assert main([*words, "--trust-python-config", *small]) == 0
    assert "is a program" not in capfd.readouterr().err
    with pytest.warns(UserWarning, match="is a program"):
        ovseg.load("mine.py")
