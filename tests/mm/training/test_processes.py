"""Trainings in processes of their own: one that is killed, and two that work together."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.mm.training.conftest import rows

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def fork(job, **variables: str) -> int:
    """Run a job in a copy of this process, which has imported everything; return its number."""
    child = os.fork()
    if child:
        return child
    try:
        os.environ.update(variables)
        os._exit(job())
    finally:
        os._exit(99)


def end(child: int) -> int:
    """Wait for a process; its status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_killed_training_goes_on_as_if_nothing_had_happened(train):
    _, whole = train(name="whole")
    killed = ["--cfg-options", "model.dies_at=6"]
    assert end(fork(lambda: train(*killed)[0])) == -signal.SIGKILL
    status, folder = train("--resume")
    assert status == 0
    assert rows(folder) == rows(whole)


def test_two_processes_have_the_losses_of_one(train):
    options = ["--cfg-options", "model.dropout=0.0", "train_dataloader.batch_size={}"]
    one = [word.format(4) for word in options]
    two = [word.format(2) for word in options]
    status, alone = train(*one, name="one")
    assert status == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [
        fork(
            lambda: train(*two, "--launcher", "pytorch", name="two")[0],
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            **variables,
        )
        for rank in range(2)
    ]
    assert [end(child) for child in children] == [0, 0]
    together = alone.with_name("two")
    for ours, theirs in zip(rows(together), rows(alone), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
