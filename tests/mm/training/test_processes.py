"""Trainings in processes of their own: one that is killed, and two that work together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mm.training.conftest import rows

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def train_apart(tmp_path, write_config):
    """Run `tools/train.py` in new processes; return the exit status and the work folder."""

    def run(*words, name="work", launcher=()):
        config, folder = write_config(toy="toy_model"), tmp_path / name
        command = [sys.executable, *launcher, str(ROOT / "tools" / "train.py"), str(config)]
        command += ["--work-dir", str(folder), "--device", "cpu", *words]
        path = os.pathsep.join(map(str, (ROOT, HERE)))
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        print(done.stderr)
        return done.returncode, folder

    return run


def test_a_killed_training_goes_on_as_if_nothing_had_happened(train, train_apart):
    _, whole = train(name="whole")
    status, folder = train_apart("--cfg-options", "model.dies_at=6")
    assert status == -signal.SIGKILL
    assert len(rows(folder)) == 5
    status, folder = train("--resume")
    assert status == 0
    assert rows(folder) == rows(whole)


def test_two_processes_have_the_losses_of_one(train, train_apart):
    options = ["--cfg-options", "model.dropout=0.0", "train_dataloader.batch_size={}"]
    one = [word.format(4) for word in options]
    two = [word.format(2) for word in options]
    status, alone = train(*one, name="one")
    assert status == 0
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone")
    status, together = train_apart(*two, "--launcher", "pytorch", name="two", launcher=torchrun)
    assert status == 0
    for ours, theirs in zip(rows(together), rows(alone), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
