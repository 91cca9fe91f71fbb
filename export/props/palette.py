"""The named colours of the props world, with the other words people use for them."""

import numpy as np

COLORS = {
    "red": (0.82, 0.13, 0.13), "orange": (0.95, 0.50, 0.10), "yellow": (0.96, 0.83, 0.16), "green": (0.18, 0.58, 0.22),
    "blue": (0.15, 0.33, 0.80), "purple": (0.50, 0.20, 0.66), "pink": (0.96, 0.55, 0.70), "brown": (0.46, 0.28, 0.14),
    "white": (0.93, 0.93, 0.91), "black": (0.11, 0.11, 0.12), "gray": (0.55, 0.56, 0.58), "teal": (0.10, 0.62, 0.62),
    "lime": (0.60, 0.85, 0.20), "beige": (0.87, 0.78, 0.60),
}
NAMES = tuple(COLORS)
RGB = np.array([COLORS[n] for n in NAMES])

WORDS = {
    "red": ("red", "red", "red", "crimson", "scarlet", "bright red"), "orange": ("orange", "orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "yellow", "golden", "lemon yellow"), "green": ("green", "green", "green", "emerald", "dark green"),
    "blue": ("blue", "blue", "blue", "royal blue", "sapphire blue"), "purple": ("purple", "purple", "purple", "violet"),
    "pink": ("pink", "pink", "pink", "rose pink", "light pink"), "brown": ("brown", "brown", "brown", "wooden", "chocolate brown"),
    "white": ("white", "white", "white", "snow white", "ivory"), "black": ("black", "black", "black", "jet black", "dark"),
    "gray": ("gray", "gray", "grey", "grey", "silver", "stone grey"), "teal": ("teal", "teal", "turquoise", "cyan"),
    "lime": ("lime", "lime green", "light green", "lime"), "beige": ("beige", "beige", "cream", "tan", "sand coloured"),
}


def nearest(rgb: np.ndarray) -> str:
    """Name of the palette colour nearest to sRGB `rgb` (3,) in [0, 1]."""
    return NAMES[int(np.argmin(((RGB - np.asarray(rgb)) ** 2).sum(axis=1)))]


def jittered(name: str, rng: np.random.Generator) -> np.ndarray:
    """The colour as it comes out of this pot of paint: (3,) sRGB in [0, 1]."""
    return np.clip(np.array(COLORS[name]) + rng.normal(0.0, 0.02, 3), 0.02, 0.97)
