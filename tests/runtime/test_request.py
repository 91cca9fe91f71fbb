"""Options out of range are refused when the request is made."""

import numpy as np
import pytest

from meshwright.runtime import InputError, Picture, Request

PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), "0" * 64)


def test_defaults_are_accepted():
    assert Request("a red chair") == Request("a red chair", seed=0, steps=None, guidance=None, faces=None, texture=None,
                                             texture_from=None, image=None, control=None, control_scale=None)


@pytest.mark.parametrize("options", [
    {"seed": 2**64 - 1}, {"steps": 1}, {"steps": 1000}, {"guidance": 0}, {"guidance": 100.0}, {"prior_steps": 5},
    {"prior_guidance": 1.5}, {"faces": 4}, {"faces": 1_000_000}, {"texture": 64}, {"texture": 8192},
    {"texture_from": "blend"}, {"control": PICTURE}, {"control": PICTURE, "control_scale": 10}, {"image": PICTURE},
], ids=str)
def test_limits_are_accepted(options):
    Request("a red chair", **options)


@pytest.mark.parametrize("options", [
    {"seed": -1}, {"seed": 2**64}, {"seed": 1.5}, {"seed": True}, {"seed": None}, {"steps": 0}, {"steps": -3},
    {"steps": 1001}, {"steps": 10**12}, {"steps": "8"}, {"prior_steps": 0}, {"guidance": float("nan")},
    {"guidance": float("inf")}, {"guidance": -0.1}, {"guidance": 101}, {"guidance": "3"},
    {"prior_guidance": float("nan")},
    {"faces": 3}, {"faces": 0}, {"faces": 10**9}, {"texture": 0}, {"texture": 1000}, {"texture": 16384},
    {"texture_from": "air"}, {"texture_from": 3}, {"image": "a.png"}, {"control": b"\x89PNG"},
    {"control_scale": -0.1, "control": PICTURE}, {"control_scale": 10.1, "control": PICTURE}, {"control_scale": 1.0},
], ids=str)
def test_out_of_range(options):
    with pytest.raises(InputError, match=f"^{next(iter(options))} is "):
        Request("a red chair", **options)


@pytest.mark.parametrize("prompt", ["", "  ", "a\tb", None, 3])
def test_prompts_are_checked(prompt):
    with pytest.raises(InputError, match="prompt"):
        Request(prompt)


def test_a_picture_may_stand_for_the_prompt():
    assert Request(image=PICTURE).prompt == ""
    with pytest.raises(InputError, match="prompt"):
        Request()
    with pytest.raises(InputError, match="control character"):
        Request("a\tb", image=PICTURE)
