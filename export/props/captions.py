"""Captions: what a person might type for a prop. Several templates, synonyms of the object and of its colours."""

import numpy as np

from .families import SECOND_PART
from .palette import WORDS

NOUNS = {
    "chair": ("chair", "chair", "chair", "seat", "dining chair"), "stool": ("stool", "stool", "bar stool", "round stool"),
    "table": ("table", "table", "desk", "dining table"), "lamp": ("lamp", "lamp", "floor lamp", "table lamp", "reading light"),
    "mug": ("mug", "mug", "cup", "coffee mug", "tea cup"), "bottle": ("bottle", "bottle", "flask", "wine bottle"),
    "house": ("house", "house", "cottage", "home", "hut"), "tower": ("tower", "tower", "castle tower", "watchtower", "turret"),
    "round tree": ("tree", "tree", "round tree", "oak tree", "leafy tree"), "pine": ("pine tree", "pine", "fir tree", "christmas tree", "spruce"),
    "mushroom": ("mushroom", "mushroom", "toadstool"), "barrel": ("barrel", "barrel", "cask", "keg"),
    "crate": ("crate", "crate", "box", "wooden crate", "chest"), "sword": ("sword", "sword", "blade", "longsword"),
    "hammer": ("hammer", "hammer", "mallet", "war hammer"), "rocket": ("rocket", "rocket", "spaceship", "space rocket"),
    "car": ("car", "car", "automobile", "vehicle", "small car"), "boat": ("boat", "boat", "sailboat", "ship"),
    "snowman": ("snowman", "snowman", "snow man"), "robot": ("robot", "robot", "android", "toy robot"),
}

PART_WORDS = {"arms": ("arms", "limbs"), "top": ("top", "roof"), "grip": ("handle", "hilt", "grip"), "hoops": ("hoops", "bands"), "frame": ("frame", "edges"),
              "fins": ("fins",), "wheels": ("wheels", "tires"), "cap": ("cap", "lid"), "base": ("base", "stand"), "hat": ("hat", "top hat")}

MAIN_ONLY = ("a {c1} {noun}", "{c1} {noun}", "a {noun} painted {c1}", "a {noun} in {c1}", "a {c1} coloured {noun}", "3d model of a {c1} {noun}")
BOTH = ("a {c1} {noun} with {c2} {part}", "a {c1} {noun} with {c2} {part}", "{c1} {noun}, {c2} {part}", "a {noun} that is {c1} and has {c2} {part}",
        "a {c1} {noun} and {c2} {part}")
SAME = ("an all {c1} {noun}", "a {c1} {noun}", "a {c1} {noun} with {c1} {part}", "a completely {c1} {noun}")
PLAIN = ("a {noun}", "{noun}", "a simple {noun}")
FRAMES = ("{}", "{}", "{}", "{}", "{}, low poly", "{} for a game", "low poly {}", "{} on a white background", "a game asset: {}")


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def caption(family: str, first: str | None, second: str | None, rng: np.random.Generator) -> str:
    """A caption for a prop; `first` and `second` are palette names, or None where the prompt says nothing of that colour."""
    words = {"noun": _pick(rng, NOUNS[family])}
    part = SECOND_PART[family]
    words["part"] = _pick(rng, PART_WORDS.get(part, (part,)))
    if first:
        words["c1"] = _pick(rng, WORDS[first])
    if second:
        words["c2"] = _pick(rng, WORDS[second])
    templates = PLAIN if first is None else MAIN_ONLY if second is None else SAME if first == second and rng.random() < 0.7 else BOTH
    text = _pick(rng, FRAMES).format(_pick(rng, templates).format(**words))
    return text.replace("a orange", "an orange").replace("a emerald", "an emerald").replace("a ivory", "an ivory")
