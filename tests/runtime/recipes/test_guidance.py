"""Which halves of guidance a loop computes: real models that take either, and models of older exporters that take both."""

import numpy as np
import onnx
import onnx.parser
import pytest

from meshwright.engines import open_engine
from meshwright.runtime.diffusion.schedules import COLUMNS, make_table
from meshwright.runtime.recipes.guidance import Reuse, scan_guided, stretches

# latent_next = latent + k noise + m[0] + w (m[-1] - m[0]), where m are the states; seen counts the halves of every step, and fresh
# noise comes for each half too.
STEP = """step (float[1,2] latent, float[1,1] seen, float[9] row, float[1,2] noise, float[HALVES,2] states, float[HALVES,2] fresh)
    => (float[1,2] latent_next, float[1,1] seen_next) {
    zero = Constant<value = int64[1] {0}>()
    one = Constant<value = int64[1] {1}>()
    last = Constant<value = int64[1] {-1}>()
    end = Constant<value = int64[1] {9}>()
    t, scale, from_x, from_output, a, b, c, k, w = Split<axis = 0, num_outputs = 9>(row)
    m = Add(states, fresh)
    uncond = Slice(m, zero, one)
    cond = Slice(m, last, end)
    apart = Sub(cond, uncond)
    push = Mul(w, apart)
    guided = Add(uncond, push)
    drawn = Mul(k, noise)
    moved = Add(latent, guided)
    latent_next = Add(moved, drawn)
    shape = Shape<start = 0, end = 1>(states)
    halves = Cast<to = 1>(shape)
    seen_next = Add(seen, halves)
}"""
UNCOND, COND = np.array([1.0, 2.0], np.float32), np.array([3.0, -1.0], np.float32)


@pytest.fixture(params=["halves", "2"], ids=["either", "both"])
def step(request, tmp_path):
    model = onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {STEP.replace("HALVES", request.param)}')
    onnx.save(model, tmp_path / "step.onnx")
    with open_engine(tmp_path / "step.onnx", threads=1) as engine:
        yield engine, request.param == "halves"


def rows(*weights):
    made = np.zeros((len(weights), len(COLUMNS)), np.float32)
    made[:, COLUMNS.index("w")] = weights
    made[:, COLUMNS.index("k")] = 1.0
    return made


def test_neighbours_that_need_as_many_halves_are_one_stretch():
    table = rows(1, 1, 3, 2, 2, 1, 0)
    assert list(stretches(table, True)) == [(2, 1), (5, 2), (6, 1), (7, 2)]
    assert list(stretches(table, False)) == [(7, 2)]
    assert list(stretches(rows(1), True)) == [(1, 1)] and list(stretches(rows(5, 4), True)) == [(2, 2)]


def test_the_result_is_that_of_both_halves_throughout(step):
    engine, either = step
    weights, told = (1, 1, 3, 0, 1), []
    noise, fresh = np.arange(10, dtype=np.float32).reshape(5, 1, 2), np.arange(20, dtype=np.float32).reshape(5, 2, 2)
    carry = scan_guided(engine, {"latent": np.zeros((1, 2), np.float32), "seen": np.zeros((1, 1), np.float32)},
                        {"row": rows(*weights), "noise": noise, "fresh": fresh}, {"states": np.stack([UNCOND, COND])},
                        on_step=lambda index, total: told.append((index, total)))
    expected = noise.sum(axis=0)[0] + sum((UNCOND + u) + w * ((COND + c) - (UNCOND + u)) for w, (u, c) in zip(weights, fresh, strict=True))
    np.testing.assert_array_equal(carry["latent"], expected[None])
    assert carry["seen"] == (1 + 1 + 2 + 2 + 1 if either else 10)
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_what_is_raised_between_two_stretches_ends_the_loop(step):
    engine, _ = step

    def stop(index, total):
        if index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_guided(engine, {"latent": np.zeros((1, 2), np.float32), "seen": np.zeros((1, 1), np.float32)},
                    {"row": rows(1, 3, 1), "noise": np.zeros((3, 1, 2), np.float32), "fresh": np.zeros((3, 2, 2), np.float32)},
                    {"states": np.stack([UNCOND, COND])}, on_step=stop)


def test_guidance_within_an_interval_of_noise_levels():
    schedule = {"kind": "euler-ancestral", "prediction": "v", "betas": "linear", "spacing": "trailing"}
    plain, table = make_table(schedule, 10, 4.0), make_table(schedule, 10, 4.0, (0.5, 5.0))
    sigma = plain.levels[:, 1] / plain.levels[:, 0]
    inside = (sigma >= 0.5) & (sigma <= 5.0)
    assert 0 < inside.sum() < 10
    weight = COLUMNS.index("w")
    assert table.rows[:, weight].tolist() == [4.0 if each else 1.0 for each in inside]
    np.testing.assert_array_equal(np.delete(table.rows, weight, axis=1), np.delete(plain.rows, weight, axis=1))
    assert (plain.rows[:, weight] == 4.0).all()
    # Latents of unit variance count in the same noise over signal.
    ddim = make_table({**schedule, "kind": "ddim"}, 10, 4.0, (0.5, 5.0))
    assert ddim.rows[:, weight].tolist() == table.rows[:, weight].tolist()


# A whole step also gives what it saw, 10 and its states; a shallow one adds what is given to it: the latents tell which step saw what.
WHOLE = """step (float[1,2] latent, float[9] row, float[halves,2] states) => (float[1,2] latent_next, float[halves,2] deep) {
    ten = Constant<value = float {10.0}>()
    scale = Constant<value = float {100.0}>()
    deep = Add(states, latent)
    larger = Mul(latent, scale)
    latent_next = Add(larger, ten)
    unused = ReduceSum(row)
}"""
SHALLOW = """step (float[1,2] latent, float[9] row, float[halves,2] states, float[halves,2] deep) => (float[1,2] latent_next) {
    last = Constant<value = int64[1] {-1}>()
    end = Constant<value = int64[1] {9}>()
    seen = Slice(deep, last, end)
    latent_next = Add(latent, seen)
    unused = ReduceSum(row)
    more = ReduceSum(states)
}"""


def test_deep_features_serve_several_steps(tmp_path):
    engines, told = [], []
    for name, text in (("whole", WHOLE), ("shallow", SHALLOW)):
        onnx.save(onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {text}'), tmp_path / f"{name}.onnx")
        engines.append(open_engine(tmp_path / f"{name}.onnx", threads=1))
    whole, shallow = engines
    states = np.array([[0.0, 0.0], [1.0, 2.0]], np.float32)

    def drawn(weights, every):
        return scan_guided(whole, {"latent": np.zeros((1, 2), np.float32)}, {"row": rows(*weights)}, {"states": states},
                           on_step=lambda index, total: told.append((index, total)), reuse=Reuse(shallow, every))["latent"]

    # 0: whole -> 10, deep 0 + states; 1, 2: + states each; 3: whole, deep = (12, 14) + states, latents (1210, 1410); 4: + deep
    np.testing.assert_array_equal(drawn([2, 2, 2, 2, 2], 3), [[1210 + 13, 1410 + 16]])
    assert told == [(i, 5) for i in range(1, 6)]
    # Other halves, other deep features: at the change they are computed anew. 0: 10; 1: + states = (11, 12); 2: whole (1110, 1210)
    np.testing.assert_array_equal(drawn([1, 1, 2], 4), [[1110, 1210]])
    for engine in engines:
        engine.close()
