"""The whole training at the smallest size: every stage takes a step and leaves what the next ones and the pack need."""

import dataclasses
import time

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from meshwright.engines.errors import ExportError
from meshwright.export.props import train
from meshwright.export.props.training import pairs, reconstructor, shap_e, surface, views
from meshwright.export.props.training.loop import weights_of
from meshwright.export.props.training.run import Run, explicit_attention
from meshwright.export.props.world import dataset

SEED = 65_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Shapes from files: those that a GPU draws in its memory take a processor minutes, and are tested with the dataset."""
    folder = tmp_path_factory.mktemp("train")
    dataset.write(folder / "shapes", 2, SEED)
    return Run(dataset.Dataset.open(folder / "shapes"), folder / "checkpoints", folder / "pairs")


@pytest.fixture(scope="module")
def trained(run):
    """Trained for a step a stage, from nothing."""
    kept = train.BEFORE_PAIRS, train.WHILE_PAIRS, train.AFTER_PAIRS
    train.BEFORE_PAIRS, train.WHILE_PAIRS, train.AFTER_PAIRS = (
        tuple(dataclasses.replace(stage, schedule=dataclasses.replace(stage.schedule, steps=1, batch=2)) for stage in stages)
        for stages in kept)
    captions, resolution, drawn = shap_e.CAPTIONS, surface.RESOLUTION, views.DRAWN
    shap_e.CAPTIONS, surface.RESOLUTION, views.DRAWN = 20, 16, 2
    try:
        train.train(run, None, pair_count=2)
        yield run
    finally:
        train.BEFORE_PAIRS, train.WHILE_PAIRS, train.AFTER_PAIRS = kept
        shap_e.CAPTIONS, surface.RESOLUTION, views.DRAWN = captions, resolution, drawn


@pytest.mark.slow
def test_every_stage_leaves_its_checkpoint(trained):
    names = [stage.name for stage in (*train.BEFORE_PAIRS, *train.WHILE_PAIRS, *train.AFTER_PAIRS)]
    assert len(names) == 11
    for name in names:
        assert (trained.out / f"{name}.done").exists() and weights_of(trained.out / f"{name}.pt"), name
    found = pairs.Pairs.open(trained.pairs)
    assert found.seeds.tolist() == [train.FIRST_PAIR, train.FIRST_PAIR + 1]
    scaled = found.scaled("views", trained.out, trained.device)
    assert scaled.shape == (2, 4, 48, 32) and abs(float(scaled.mean())) < 0.01 and float(scaled.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_what_is_finished_is_not_trained_again(trained, monkeypatch):
    for stages in ("BEFORE_PAIRS", "WHILE_PAIRS", "AFTER_PAIRS"):
        monkeypatch.setattr(train, stages, tuple(dataclasses.replace(stage, train=None) for stage in getattr(train, stages)))
    train.train(trained, 10.0, pair_count=2)


@pytest.mark.slow
def test_met_views_are_drawn_by_the_refiner_or_from_pictures(trained):
    generated, rng = reconstructor.GeneratedViews(trained), np.random.default_rng(0)
    rows, views = generated.batch(rng, 2)
    assert views.shape == (2, 6, 3, 128, 128) and 0 <= float(views.min()) and float(views.max()) <= 1
    assert len(generated.kept) == 2 and generated.kept[0][1].dtype == torch.uint8
    points, sdf, color = generated.field(rng, rows, 30, 20, 10)
    assert points.shape == (2, 60, 3) and sdf.shape == (2, 60, 1) and color.shape == (2, 60, 3)
    assert float(sdf[:, :30].abs().median()) < 0.03 < float(sdf[:, 50:].abs().median())


@pytest.mark.slow
def test_from_a_decoder_alone_the_encoder_is_learnt_and_the_decoder_kept(trained, tmp_path):
    decoder = {name: value for name, value in weights_of(trained.out / "shap_e.pt").items() if name.startswith("decoder.")}
    torch.save({"average": decoder}, tmp_path / "shap_e.pt")
    assert len(shap_e.decoder_alone(tmp_path / "shap_e.pt")) == len(decoder)
    schedule = dataclasses.replace(shap_e.SCHEDULE, steps=1, batch=2, warmup=1)
    shap_e.train(dataclasses.replace(trained, out=tmp_path), schedule)
    again = weights_of(tmp_path / "shap_e.pt")
    assert any(name.startswith("encoder.") for name in again)
    assert all(torch.equal(again[name], value) for name, value in decoder.items())
    assert shap_e.decoder_alone(tmp_path / "shap_e.pt") is None


def test_time_that_is_left_is_divided_by_the_shares_that_are_left(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = train.Clock(end=160.0, shares=30)
    assert clock.seconds(10) == pytest.approx(20)
    now = 140.0
    assert clock.seconds(15) == pytest.approx(15), "of 20 seconds for 20 shares"
    assert clock.seconds(5) == pytest.approx(20)
    assert train.Clock(end=None, shares=1).seconds(1) is None


def test_without_pairs_the_message_says_what_makes_them(tmp_path):
    with pytest.raises(ExportError, match="no pairs"):
        pairs.Pairs.open(tmp_path)


def test_worsened_views_stay_pictures_and_differ_from_view_to_view():
    view = torch.ones(3, 64, 64)
    view[:, 20:40, 20:40] = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1)
    views = view.expand(4, 6, 3, 64, 64)
    found = reconstructor.worsened(views, np.random.default_rng(1))
    assert found.shape == views.shape and 0 <= float(found.min()) and float(found.max()) <= 1
    apart = (found - views).abs().mean(dim=(1, 2, 3, 4))
    assert 0.003 < float(apart.max()) < 0.1
    worst = found[int(apart.argmax())]
    assert float((worst[0] - worst[1]).abs().max()) > 0.1


def test_explicit_attention_is_attention():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 7, 8).unbind(0)
    mask = torch.rand(7, 7) < 0.7
    calls = ({}, {"scale": 0.2}, {"is_causal": True}, {"attn_mask": mask})
    fused = [F.scaled_dot_product_attention(q, k, v, **options) for options in calls]
    with explicit_attention(torch.device("cpu")):
        explicit = [F.scaled_dot_product_attention(q, k, v, **options) for options in calls]
    for one, other in zip(fused, explicit, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert F.scaled_dot_product_attention(q, k, v, is_causal=True).equal(fused[2])
