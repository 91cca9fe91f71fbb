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

# The plain name stands several times: it is drawn more often.
WORDS = {
    "red": ("red", "red", "red", "red", "crimson", "scarlet", "bright red", "tomato red", "vermilion"),
    "orange": ("orange", "orange", "orange", "tangerine", "carrot orange", "bright orange"),
    "yellow": ("yellow", "yellow", "yellow", "golden", "lemon yellow", "mustard yellow", "sunflower yellow", "banana yellow"),
    "green": ("green", "green", "green", "emerald", "dark green", "leaf green", "jade green", "bottle green"),
    "blue": ("blue", "blue", "blue", "royal blue", "sapphire blue", "ocean blue", "denim blue", "cerulean"),
    "purple": ("purple", "purple", "purple", "violet", "lavender", "mauve", "grape purple"),
    "pink": ("pink", "pink", "pink", "rose pink", "light pink", "salmon pink", "hot pink"),
    "brown": ("brown", "brown", "brown", "wooden", "chocolate brown", "mahogany", "coffee brown"),
    "white": ("white", "white", "white", "snow white", "ivory", "chalk white", "pearl white"),
    "black": ("black", "black", "black", "jet black", "dark", "ebony", "pitch black"),
    "gray": ("gray", "gray", "grey", "grey", "silver", "stone grey", "ash grey", "slate grey", "iron grey"),
    "teal": ("teal", "teal", "turquoise", "cyan", "aqua", "sea green"),
    "lime": ("lime", "lime green", "light green", "lime", "neon green", "yellowish green"),
    "beige": ("beige", "beige", "cream", "tan", "sand coloured", "khaki", "vanilla"),
}


def nearest(rgb: np.ndarray) -> str:
    """Name of the palette colour nearest to sRGB `rgb` (3,) in [0, 1]."""
    return NAMES[int(np.argmin(((RGB - np.asarray(rgb)) ** 2).sum(axis=1)))]


def jittered(name: str, rng: np.random.Generator) -> np.ndarray:
    """The colour as it comes out of this pot of paint: (3,) sRGB in [0, 1]."""
    return np.clip(np.array(COLORS[name]) + rng.normal(0.0, 0.02, 3), 0.02, 0.97)
