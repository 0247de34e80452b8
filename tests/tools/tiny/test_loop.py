import json

import pytest
import torch
from torch import nn

from ovseg.errors import CheckpointError, RuntimeLimitError
from tools.tiny.loop import Schedule, fit, rate_at, read_log

PLAN = Schedule(steps=8, rate=0.1, warmup=2, save_every=3, check_every=4)


class Fit(nn.Module):
    """Learns to copy its input; ``spoil`` makes the loss nan at that call."""

    def __init__(self, spoil=None):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([nn.Linear(4, 4)])
        self.bias = nn.Parameter(torch.zeros(4))
        self.spoil, self.calls = spoil, 0

    def forward(self, batch):
        self.calls += 1
        loss = (self.blocks[0](batch).float() + self.bias - batch).square().mean()
        return {"copy": loss * float("nan") if self.calls == self.spoil else loss}


def batches(rng, _):
    return torch.from_numpy(rng.normal(size=(6, 4)).astype("float32"))


def run(folder, steps=8, model=None):
    model = model or Fit()
    lines = []
    plan = Schedule(**{**vars(PLAN), "steps": steps})
    fit(model, batches, plan, folder, validate=lambda: {"score": 1.0}, report=lines.append)
    return model, lines


class StopHereError(Exception):
    pass


def test_the_loss_falls_and_every_step_is_logged(tmp_path):
    _, lines = run(tmp_path)
    rows = list(read_log(tmp_path))
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert rows[-1]["copy"] < rows[0]["copy"]
    assert [row["step"] for row in rows if "score" in row] == [4, 8]
    assert "step 8" in lines[-1]


def test_a_broken_run_goes_on_as_if_nothing_had_happened(tmp_path):
    whole, _ = run(tmp_path / "whole")
    expected = list(read_log(tmp_path / "whole"))

    def stopping(rng, step):
        stopping.calls += 1
        if stopping.calls > 5:
            raise StopHereError
        return batches(rng, step)

    stopping.calls = 0
    with pytest.raises(StopHereError):
        fit(Fit(), stopping, PLAN, tmp_path / "broken", report=lambda line: None)
    resumed, _ = run(tmp_path / "broken", model=Fit())
    assert torch.equal(resumed.blocks[0].weight, whole.blocks[0].weight)
    rows = list(read_log(tmp_path / "broken"))
    assert [(row["step"], row["copy"]) for row in rows] == [
        (row["step"], row["copy"]) for row in expected
    ]


def test_a_finished_run_does_nothing_again(tmp_path):
    first, _ = run(tmp_path)
    log = (tmp_path / "log.jsonl").read_bytes()
    again, lines = run(tmp_path)
    assert torch.equal(first.blocks[0].weight, again.blocks[0].weight)
    assert (tmp_path / "log.jsonl").read_bytes() == log
    assert lines == []


def test_a_loss_that_is_not_finite_stops_with_step_and_part(tmp_path):
    with pytest.raises(RuntimeLimitError, match=r"step 3.*copy"):
        run(tmp_path, model=Fit(spoil=4))
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2, 3]


def test_a_damaged_state_is_named(tmp_path):
    run(tmp_path)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        run(tmp_path)


def test_the_rate_warms_up_and_falls_to_nothing():
    plan = Schedule(steps=50, rate=2.0, warmup=5)
    rates = [rate_at(step, plan) for step in range(50)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert max(rates) == 2.0
    assert all(a >= b for a, b in zip(rates[5:], rates[6:], strict=False))
    assert 0 < rates[-1] < 0.01


def test_a_second_round_starts_high_again_and_falls_to_nothing():
    plan = Schedule(steps=20, rate=2.0, warmup=2, more=((10, 1.0),))
    assert plan.total == 30
    assert rate_at(19, plan) < 0.05
    assert rate_at(20, plan) == 1.0
    assert rate_at(25, plan) == pytest.approx(0.5)
    assert rate_at(29, plan) < 0.05
    assert rate_at(30, plan) == 0.0


def test_the_log_is_plain_json_lines(tmp_path):
    run(tmp_path, steps=2)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        assert set(json.loads(line)) >= {"step", "copy"}
