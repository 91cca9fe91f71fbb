import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from meshwright.export.props.training.diffusion import alphas_cumprod, noised
from meshwright.export.props.training.loop import Muon, Schedule, averaged, fit, optimizers

SCHEDULE = Schedule(steps=12, batch=2, lr=0.05, matrix_lr=0.02, warmup=3, ema=0.9, seed=4)


class Line(nn.Module):
    """Two parameters: a matrix large enough for Muon, and a bias."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.weight, self.bias = nn.Parameter(torch.randn(9, 9)), nn.Parameter(torch.zeros(9))

    def forward(self, x):
        return x @ self.weight + self.bias


class Interrupt(Exception):
    pass


def loss_of(module, stop_at=None):
    steps = []

    def loss(rng):
        if len(steps) == stop_at:
            raise Interrupt
        steps.append(1)
        x = torch.from_numpy(rng.normal(size=(4, 9)).astype(np.float32))
        return {"loss": (module(x + 0.1 * torch.randn_like(x)) - x.flip(1)).square().mean()}

    return loss


def test_an_interrupted_training_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    whole = Line()
    fit(whole, loss_of(whole), SCHEDULE, tmp_path / "whole.pt", log_every=100)

    # A clock that jumps makes the loop save after every step.
    ticks = iter(range(0, 10**9, 1000))
    monkeypatch.setattr("meshwright.export.props.training.loop.time.time", lambda: next(ticks))
    for stop_at in (5, 3):
        broken = Line()
        with pytest.raises(Interrupt):
            fit(broken, loss_of(broken, stop_at), SCHEDULE, tmp_path / "broken.pt", log_every=100)
    last = Line()
    fit(last, loss_of(last), SCHEDULE, tmp_path / "broken.pt", log_every=100)
    for a, b in zip(whole.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    again = averaged(Line(), tmp_path / "broken.pt")
    for a, b in zip(last.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not any(p.requires_grad for p in again.parameters())


def test_a_training_by_the_clock_ends_with_its_time_and_goes_on_with_more(tmp_path, monkeypatch):
    """A clock that is looked at once a step, and stands at ten seconds more each time."""
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("meshwright.export.props.training.loop.time.time", lambda: next(clock))
    schedule = dataclasses.replace(SCHEDULE, steps=0, seconds=200.0)
    module = Line()
    with pytest.raises(Interrupt):
        fit(module, loss_of(module, 15), schedule, tmp_path / "line.pt", log_every=1000)
    saved = torch.load(tmp_path / "line.pt", weights_only=True)
    assert (saved["step"], saved["spent"]) == (13, 130.0), "saved once more than 120 seconds had passed"
    again = Line()
    fit(again, loss_of(again), dataclasses.replace(schedule, seconds=70.0), tmp_path / "line.pt", log_every=1000)
    saved = torch.load(tmp_path / "line.pt", weights_only=True)
    assert (saved["step"], saved["spent"]) == (20, 200.0)


def test_by_the_clock_the_rate_falls_with_the_time():
    schedule = dataclasses.replace(SCHEDULE, seconds=100.0)
    assert schedule.factor(50, 0.0) == pytest.approx(1)
    assert schedule.factor(50, 50.0) == pytest.approx(0.51)
    assert schedule.factor(10**6, 100.0) == pytest.approx(0.02)
    assert schedule.factor(0, 60.0) == pytest.approx(1 / 3), "the optimisers warm up whenever they start"
    assert schedule.progress(3, 250.0) == 1.0


def test_weights_alone_are_where_a_training_starts(tmp_path):
    given, start = Line(), tmp_path / "line.pt"
    torch.save({"average": {name: value + 1 for name, value in given.state_dict().items()}}, start)
    module = Line()
    fit(module, loss_of(module), dataclasses.replace(SCHEDULE, steps=1, lr=1e-6, matrix_lr=1e-6), start)
    torch.testing.assert_close(module.weight.data, given.weight.data + 1, rtol=0, atol=1e-3)
    assert torch.load(start, weights_only=True)["step"] == 1


def test_rates_warm_up_and_fall_to_a_fiftieth():
    factors = [SCHEDULE.factor(step) for step in range(13)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert factors[12] == pytest.approx(0.02)
    assert all(a > b for a, b in zip(factors[3:], factors[4:], strict=False))


def test_matrices_go_to_muon_and_the_rest_to_adamw():
    adam, muon = optimizers(Line(), SCHEDULE)
    assert isinstance(adam, torch.optim.AdamW) and isinstance(muon, Muon)
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(9, 9)]
    assert len(optimizers(Line(), Schedule(steps=1, batch=1))) == 1


def test_the_forward_process_is_that_of_diffusers():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    table = alphas_cumprod()
    torch.testing.assert_close(table, theirs.alphas_cumprod, rtol=3e-4, atol=1e-7)
    x0, timestep = torch.randn(3, 2, 5), torch.tensor([0, 500, 999])
    torch.manual_seed(0)
    x, v = noised(x0, timestep, table)
    torch.manual_seed(0)
    noise = torch.randn_like(x0)
    torch.testing.assert_close(x, theirs.add_noise(x0, noise, timestep), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(v, theirs.get_velocity(x0, noise, timestep), rtol=1e-4, atol=1e-4)
    assert math.isclose(float(table[0]), 1, abs_tol=1e-3) and float(table[-1]) < 1e-5
