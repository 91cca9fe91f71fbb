"""Captions: what a person might type for a prop. Several templates, synonyms of the object and of its colours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .families import SECOND_PART
from .palette import WORDS

NOUNS = {
    "chair": ("chair", "chair", "chair", "seat", "dining chair", "armchair", "kitchen chair", "wooden chair with a back",
        "office chair", "rocking chair", "garden chair", "high chair"),
    "stool": ("stool", "stool", "stool", "bar stool", "round stool", "backless stool", "footstool", "milking stool",
        "pub stool", "piano stool", "three legged stool"),
    "table": ("table", "table", "table", "desk", "dining table", "coffee table", "workbench", "side table",
        "kitchen table", "writing desk", "card table", "round table"),
    "lamp": ("lamp", "lamp", "lamp", "floor lamp", "table lamp", "reading light", "bedside lamp", "lamp with a shade",
        "desk lamp", "light", "bedroom light", "standard lamp"),
    "mug": ("mug", "mug", "mug", "cup", "coffee mug", "tea cup", "drinking cup", "beaker with a handle",
        "teacup", "beer mug", "tankard", "cup for hot chocolate"),
    "bottle": ("bottle", "bottle", "bottle", "flask", "wine bottle", "glass bottle", "beer bottle", "water bottle",
        "potion bottle", "medicine bottle", "carafe", "decanter"),
    "house": ("house", "house", "house", "cottage", "home", "hut", "cabin", "little building with a roof",
        "farmhouse", "villa", "shed", "barn"),
    "tower": ("tower", "tower", "tower", "castle tower", "watchtower", "turret", "medieval tower", "keep",
        "fortress tower", "wizard's tower", "stone tower", "bastion"),
    "round tree": ("tree", "tree", "round tree", "oak tree", "leafy tree", "apple tree", "deciduous tree", "bushy tree",
        "birch", "beech tree", "fruit tree", "willow", "shade tree"),
    "pine": ("pine tree", "pine", "pine tree", "fir tree", "christmas tree", "spruce", "conifer", "evergreen tree",
        "larch", "cypress", "needle tree", "forest pine"),
    "mushroom": ("mushroom", "mushroom", "mushroom", "toadstool", "fungus", "forest mushroom", "giant mushroom",
        "porcini", "bolete", "amanita", "mushroom from the woods"),
    "barrel": ("barrel", "barrel", "barrel", "cask", "keg", "wine barrel", "wooden barrel", "beer keg",
        "rum barrel", "oak barrel", "hogshead", "rain barrel"),
    "crate": ("crate", "crate", "crate", "box", "wooden crate", "chest", "shipping crate", "storage box",
        "cargo box", "wooden box", "treasure chest", "parcel", "carton"),
    "sword": ("sword", "sword", "sword", "blade", "longsword", "knight's sword", "broadsword", "short sword",
        "rapier", "scimitar", "dagger", "claymore", "cutlass"),
    "hammer": ("hammer", "hammer", "hammer", "mallet", "war hammer", "sledgehammer", "carpenter's hammer",
        "claw hammer", "maul", "blacksmith's hammer", "builder's hammer"),
    "rocket": ("rocket", "rocket", "rocket", "spaceship", "space rocket", "toy rocket", "missile", "space ship with fins",
        "starship", "moon rocket", "space vehicle", "rocket ship"),
    "car": ("car", "car", "car", "automobile", "vehicle", "small car", "toy car", "jeep",
        "sports car", "truck", "auto", "family car", "hatchback"),
    "boat": ("boat", "boat", "boat", "sailboat", "ship", "sailing ship", "fishing boat", "yacht",
        "rowing boat", "sloop", "pirate ship", "schooner"),
    "snowman": ("snowman", "snowman", "snowman", "snow man", "snowman with a carrot nose", "man made of snow",
        "snow figure", "snowman with a hat", "winter snowman", "figure made of snowballs"),
    "robot": ("robot", "robot", "robot", "android", "toy robot", "humanoid robot", "boxy robot",
        "bot", "mech", "cyborg", "metal robot"),
}

# What these things usually measure in metres; for long ones their length, which the front looks along.
SIZES = {
    "chair": ("height", 0.9), "stool": ("height", 0.6), "table": ("height", 0.75), "lamp": ("height", 0.5), "mug": ("height", 0.1),
    "bottle": ("height", 0.3), "house": ("height", 6.0), "tower": ("height", 15.0), "round tree": ("height", 6.0), "pine": ("height", 10.0),
    "mushroom": ("height", 0.12), "barrel": ("height", 0.9), "crate": ("height", 0.6), "sword": ("height", 1.0),
    "hammer": ("height", 0.35), "rocket": ("height", 20.0), "car": ("depth", 4.2), "boat": ("depth", 6.0), "snowman": ("height", 1.6),
    "robot": ("height", 1.7),
}

PART_WORDS = {"arms": ("arms", "limbs"), "top": ("top", "roof"), "grip": ("handle", "hilt", "grip"), "hoops": ("hoops", "bands"),
              "frame": ("frame", "edges"),
              "fins": ("fins",), "wheels": ("wheels", "tires"), "cap": ("cap", "lid"), "base": ("base", "stand"), "hat": ("hat", "top hat")}

MAIN_ONLY = ("a {c1} {noun}", "{c1} {noun}", "a {noun} painted {c1}", "a {noun} in {c1}", "a {c1} coloured {noun}",
             "3d model of a {c1} {noun}", "one {noun}, its colour is {c1}", "the {noun} is {c1}", "my {c1} {noun}",
             "a small {c1} {noun}", "a nice {noun} made in {c1}")
BOTH = ("a {c1} {noun} with {c2} {part}", "a {c1} {noun} with {c2} {part}", "{c1} {noun}, {c2} {part}",
        "a {noun} that is {c1} and has {c2} {part}", "a {c1} {noun} and {c2} {part}",
        "the {part} of the {c1} {noun} are {c2}", "a {noun}: {c1}, with the {part} in {c2}")
SAME = ("an all {c1} {noun}", "a {c1} {noun}", "a {c1} {noun} with {c1} {part}", "a completely {c1} {noun}")
PLAIN = ("a {noun}", "{noun}", "a simple {noun}")
FRAMES = ("{}", "{}", "{}", "{}", "{}, low poly", "{} for a game", "low poly {}", "{} on a white background", "a game asset: {}")


# "a orange boat" -> "an orange boat"
ARTICLE = re.compile(r"\ba (?=[aeio])")


@dataclass(frozen=True)
class Wording:
    """Words and sentences for props.

    nouns : by family; colors : by palette name; parts : by `families.SECOND_PART`, those that have other names; mains : names of the
    part in the main colour by family, where the sentences speak of it
    plain, main_only, both, same, second_only : sentences with {noun}, {c1}, {main}, {c2}, {part}, by what they name; frames : around those
    """

    nouns: Mapping[str, tuple[str, ...]]
    colors: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    plain: tuple[str, ...]
    main_only: tuple[str, ...]
    both: tuple[str, ...]
    same: tuple[str, ...]
    frames: tuple[str, ...]
    second_only: tuple[str, ...] = ()
    mains: Mapping[str, tuple[str, ...]] | None = None

    def sentences(self, first: str | None, second: str | None, rng: np.random.Generator) -> tuple[str, ...]:
        """Those that name just these colours."""
        if first is None:
            return self.plain if second is None else self.second_only
        if second is None:
            return self.main_only
        return self.same if first == second and rng.random() < 0.7 else self.both


USUAL_WORDING = Wording(NOUNS, WORDS, PART_WORDS, PLAIN, MAIN_ONLY, BOTH, SAME, FRAMES)


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def caption(family: str, first: str | None, second: str | None, rng: np.random.Generator, wording: Wording = USUAL_WORDING) -> str:
    """A caption for a prop; `first` and `second` are palette names, or None where the prompt says nothing of that colour.

    The second colour alone can be named only in a wording that has sentences for it.
    """
    words = {"noun": _pick(rng, wording.nouns[family])}
    part = SECOND_PART[family]
    words["part"] = _pick(rng, wording.parts.get(part, (part,)))
    if wording.mains is not None:
        words["main"] = _pick(rng, wording.mains[family])
    if first:
        words["c1"] = _pick(rng, wording.colors[first])
    if second:
        words["c2"] = _pick(rng, wording.colors[second])
    sentences = wording.sentences(first, second, rng)
    text = _pick(rng, wording.frames).format(_pick(rng, sentences).format(**words))
    return ARTICLE.sub("an ", text)
