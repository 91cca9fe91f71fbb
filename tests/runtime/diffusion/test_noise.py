"""The noise: what it depends on, how it is distributed, and that it stays."""

import numpy as np
import pytest

from meshwright.runtime.diffusion.noise import normal


def test_the_same_seed_and_stream_give_the_same_noise():
    first = normal(7, "prior/init", (1, 4, 8))
    assert first.dtype == np.float32 and first.shape == (1, 4, 8)
    np.testing.assert_array_equal(first, normal(7, "prior/init", (1, 4, 8)))


def test_the_order_of_calls_and_the_global_generator_do_not_matter():
    expected = normal(3, "refiner/step", (5, 2))
    np.random.seed(0)
    normal(3, "prior/step", (17,))
    np.testing.assert_array_equal(normal(3, "refiner/step", (5, 2)), expected)


def test_an_element_depends_on_its_index_alone():
    np.testing.assert_array_equal(normal(1, "x", (3, 4)).reshape(-1), normal(1, "x", (101,))[:12])


@pytest.mark.parametrize("other", [(8, "a"), (7, "b"), (7 + 2**32, "a"), (2**64 - 1, "a")])
def test_seeds_and_streams_are_independent(other):
    ours, theirs = normal(7, "a", (20000,)), normal(*other, (20000,))
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 0.03


def test_the_distribution_is_normal():
    values = np.sort(normal(0, "many", (100_000,)).astype(np.float64))
    assert abs(values.mean()) < 0.01 and abs(values.std() - 1) < 0.01
    within = [np.mean(np.abs(values) < sigmas) for sigmas in (1, 2, 3)]
    np.testing.assert_allclose(within, [0.6827, 0.9545, 0.9973], atol=0.004)
    assert abs(np.corrcoef(normal(0, "many", (100_000,)).reshape(-1, 2).T)[0, 1]) < 0.01  # both halves of a pair


def test_the_values_never_change():
    # Meshes made with a seed must come out alike in every later release.
    np.testing.assert_allclose(normal(7, "prior/init", (5,)), GOLDEN, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (3,)])
def test_every_shape(shape):
    values = normal(5, "s", shape)
    assert values.shape == shape and np.isfinite(values).all()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range(seed):
    with pytest.raises(ValueError, match=str(seed)):
        normal(seed, "s", (1,))


GOLDEN = [0.045483623, -0.23371555, -0.8371281, 0.035885733, 1.175199]
