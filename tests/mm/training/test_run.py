"""`ovseg train`: what it leaves behind, how it goes on, and what stops it."""

from __future__ import annotations

import errno
import os

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ovseg.mm.safe_load import read_runner_checkpoint
from tests.mm.training.conftest import rows

pytestmark = pytest.mark.slow


def test_a_training_leaves_weights_checkpoints_log_and_curves(train):
    status, folder = train()
    assert status == 0
    assert sorted(path.name for path in folder.glob("*.pth")) == ["iter_6.pth", "iter_8.pth"]
    log = rows(folder)
    assert [row["step"] for row in log] == list(range(1, 9))
    assert {"loss", "loss_color", "loss_size", "lr"} <= log[0].keys()
    assert log[0]["lr"] > log[-1]["lr"]
    with Image.open(folder / "curves.png") as image:
        assert image.format == "PNG"
    weights = load_file(folder / "weights.safetensors")
    saved = read_runner_checkpoint(folder / "iter_8.pth")["state_dict"]
    assert weights.keys() == saved.keys()
    assert all(torch.equal(weights[name], saved[name]) for name in saved)


@pytest.mark.parametrize("by_epoch", [False, True], ids=["iterations", "epochs"])
@pytest.mark.parametrize(
    "options",
    [[], ["--amp"], ["--cfg-options", "optim_wrapper.accumulative_counts=2"]],
    ids=["plain", "amp", "accumulated"],
)
def test_a_resumed_training_has_the_losses_of_an_unbroken_one(train, by_epoch, options):
    _, whole = train(*options, name="whole", by_epoch=by_epoch)
    _, folder = train(*options, by_epoch=by_epoch)
    for path in sorted(folder.glob("*.pth"))[1:]:
        path.unlink()
    (folder / "last_checkpoint").write_text("")
    status, _ = train("--resume", *options, by_epoch=by_epoch)
    assert status == 0
    assert rows(folder) == rows(whole)
    ours, theirs = (load_file(f / "weights.safetensors") for f in (folder, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_workers_do_not_change_what_is_drawn(train):
    _, first = train(name="first")
    workers = "train_dataloader.num_workers=2"
    _, second = train("--cfg-options", workers, name="second")
    assert rows(first) == rows(second)


def test_another_seed_draws_other_images(train):
    _, first = train(name="first")
    _, second = train("--seed", 4, name="second")
    assert rows(first) != rows(second)


def test_a_cut_off_checkpoint_gives_way_to_the_last_whole_one(train, capfd):
    _, folder = train()
    expected = rows(folder)
    last = folder / "iter_8.pth"
    last.write_bytes(last.read_bytes()[:2000])
    status, _ = train("--resume")
    assert status == 0
    said = "".join(capfd.readouterr())
    assert "iter_8.pth" in said
    assert "falling back to iter_6.pth, the last whole checkpoint" in said
    assert rows(folder) == expected


def test_nothing_to_resume_starts_at_the_beginning(train, capfd):
    status, folder = train("--resume")
    assert status == 0
    assert "starting at the beginning" in "".join(capfd.readouterr())
    assert len(rows(folder)) == 8


def test_weights_alone_cannot_be_resumed(train, capfd):
    _, folder = train()
    status, _ = train("--resume", folder / "weights.safetensors")
    assert status == 1
    assert "a training cannot go on from it" in capfd.readouterr().err


def test_a_checkpoint_of_another_model_is_refused(train, capfd):
    train()
    status, _ = train("--resume", "--cfg-options", "model.width=4")
    assert status == 1
    assert "3 of another shape: layer.0.bias" in capfd.readouterr().err


def test_a_moving_average_is_what_is_kept(train):
    average = {"extra": "custom_hooks = [dict(type='EMAHook')]"}
    _, whole = train(name="whole", **average)
    _, plain = train(name="plain")
    _, folder = train(**average)
    (folder / "iter_8.pth").unlink()
    assert train("--resume", **average)[0] == 0
    ours, theirs, last = (load_file(f / "weights.safetensors") for f in (folder, whole, plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not torch.equal(theirs["layer.0.weight"], last["layer.0.weight"])


def test_a_loss_that_is_no_number_stops_with_its_name(train, capfd):
    status, folder = train("--cfg-options", "model.bad_from=5")
    assert status == 1
    message = capfd.readouterr().err
    assert "iteration 5: loss and loss_size not finite" in message
    assert "loss_color 0." in message
    assert not list(folder.glob("iter_[68].pth"))
    state = read_runner_checkpoint(folder / "iter_4.pth")["state_dict"]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())


def test_a_full_disk_leaves_the_old_checkpoints(train, capfd, monkeypatch):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("iter_6.pth"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    options = ["--cfg-options", "default_hooks.checkpoint.max_keep_ckpts=1"]
    status, folder = train(*options)
    assert status == 1
    assert "the disk is full" in capfd.readouterr().err
    assert [path.name for path in folder.glob("*.pth")] == ["iter_4.pth"]
    monkeypatch.undo()
    assert train("--resume", *options)[0] == 0
    assert [path.name for path in folder.glob("*.pth")] == ["iter_8.pth"]
    assert not list(folder.glob(".ovseg-*"))


def test_an_interval_inside_an_accumulation_is_refused(train, capfd):
    status, _ = train("--cfg-options", "optim_wrapper.accumulative_counts=4")
    assert status == 2
    assert "expected a multiple of 4" in capfd.readouterr().err


def test_images_that_cannot_be_read_are_skipped_and_counted(train, images, capfd):
    (images / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    (images / "empty.png").touch()
    status, folder = train()
    assert status == 0
    assert "2 images could not be read and were skipped" in "".join(capfd.readouterr())
    listed = (folder / "skipped.txt").read_text()
    assert "torn.jpg" in listed
    assert "empty.png\t" in listed


def test_a_folder_without_images_is_refused(train, images, capfd):
    for path in images.glob("*/*.png"):
        path.rename(path.with_suffix(".txt"))
    status, _ = train()
    assert status == 1
    assert "no images found" in capfd.readouterr().err


def test_a_config_without_a_training_part_is_refused(write_config, tmp_path, capfd):
    from ovseg.cli import main

    config = tmp_path / "test_only.py"
    config.write_text("model = dict(type='ToySegmentor')\n")
    assert main(["train", str(config), "--device", "cpu"]) == 2
    assert "nothing to train: it has no train_dataloader" in capfd.readouterr().err
