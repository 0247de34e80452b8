"""The scripts that start several training processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"


def start(script, *words, **variables):
    """Run a script; its status, and what it printed or complained of."""
    done = subprocess.run(
        [TOOLS / script, *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def test_dist_train_starts_torchrun():
    status, said = start("dist_train.sh", "config.py", "2", "--amp", PYTHON="echo", PORT="1234")
    assert status == 0
    assert said.startswith("-m torch.distributed.run --nnodes=1 --node_rank=0 --nproc_per_node=2")
    assert "--master_port=1234" in said
    assert said.endswith(f"{TOOLS}/train.py config.py --launcher pytorch --amp")


def test_slurm_train_starts_a_process_a_gpu(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    status, said = start(
        "slurm_train.sh", "gpu", "job", "config.py", "--resume", PATH=path, GPUS="16"
    )
    assert status == 0
    assert "-p gpu --job-name=job --gres=gpu:8 --ntasks=16 --ntasks-per-node=8" in said
    assert said.endswith(f"{TOOLS}/train.py config.py --launcher slurm --resume")


def test_words_that_are_missing_are_named():
    for script in ("dist_train.sh", "slurm_train.sh"):
        status, said = start(script)
        assert status != 0
        assert "usage:" in said
