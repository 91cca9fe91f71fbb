"""More ways to ask for a prop than `captions` has: other words for the thing, its parts and colours, in the freer `sentences`.

Trained on beside the captions of props, so that words which are in neither find the right thing by their likeness. The benchmarks'
paraphrases share no name of a thing with them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from . import phrases, sentences
from .captions import ARTICLE, Wording, caption
from .captions import PART_WORDS as USUAL_PARTS
from .families import USUAL
from .palette import WORDS as USUAL_COLORS

NOUNS = {
    "chair": ("armchair", "dining room chair", "lounge chair", "folding chair", "desk chair", "school chair", "wicker chair", "deck chair",
        "easy chair", "recliner", "chair with armrests", "chair with a tall back", "queen's chair", "seat with a back and four legs",
        "garden seat with a backrest", "cafe chair", "child's chair", "parlour chair"),
    "stool": ("stool without a back", "shop stool", "counter stool", "little stool", "artist's stool", "step stool", "cobbler's stool",
        "tall stool", "wooden stool", "ottoman", "tabouret", "hassock", "pouf", "drummer's seat", "vanity stool", "workshop stool",
        "cricket stool"),
    "table": ("tabletop on four legs", "kitchen desk", "office desk", "computer desk", "tea table", "end table", "conference table",
        "dinner table", "banquet table", "bistro table", "console table", "garden table", "trestle table", "work table", "drawing table",
        "bureau", "lectern", "poker table"),
    "lamp": ("lampshade on a stand", "lantern", "study lamp", "night light", "bedside light", "lamp stand", "living room lamp",
        "ceramic lamp", "mood light", "torchiere", "floor light", "light fixture", "hallway lamp", "electric light", "glowing lamp",
        "sideboard lamp", "sofa lamp", "illumination for a desk"),
    "mug": ("cup with a handle", "coffee cup", "pottery mug", "china cup", "porcelain cup", "stein", "jug for beer", "latte mug",
        "camping mug", "breakfast cup", "soup mug", "cup of tea", "cappuccino cup", "stoneware cup", "chocolate cup", "pint pot",
        "enamel mug", "cup for hot drinks", "ceramic cup with a handle", "milk mug", "hot beverage cup"),
    "bottle": ("soda bottle", "milk bottle", "perfume bottle", "champagne bottle", "whisky bottle", "bottle of wine", "bottle of oil",
        "vinegar cruet", "ink bottle", "elixir", "magic potion", "poison bottle", "canteen", "jar with a narrow neck", "phial", "ampoule",
        "amphora", "juice bottle", "ketchup bottle", "glass container for liquids", "bottle with a cork", "thing that wine comes in"),
    "house": ("family house", "country house", "log cabin", "chalet", "mansion", "dwelling", "residence", "hovel", "lodge", "manor", "inn",
        "village house", "town house", "suburban house", "stable", "chapel", "garden shed", "gingerbread house", "building with a roof",
        "dollhouse", "hobbit home", "tavern", "schoolhouse", "summer house"),
    "tower": ("guard tower", "bell tower", "clock tower", "city tower", "rook", "fort", "castle keep", "donjon", "citadel", "minaret",
        "belfry", "battlement", "round tower", "tall stone building", "defence tower", "mage tower", "church tower", "water tower",
        "high building of a castle", "lookout", "signal tower", "palace tower", "chess tower"),
    "round tree": ("elm", "linden tree", "ash tree", "chestnut tree", "hazel", "plum tree", "pear tree", "orange tree", "walnut tree",
        "sycamore", "poplar", "broadleaf tree", "park tree", "garden tree", "tree with a round crown", "tree with many leaves",
        "leafy wood",
        "big old tree", "summer tree", "hardwood tree", "bush on a trunk", "fruit bearing tree", "tree in a meadow"),
    "pine": ("conifer tree", "pinewood tree", "xmas tree", "noble fir", "douglas fir", "blue spruce", "hemlock tree", "yew", "juniper",
        "redwood", "sequoia", "tree with needles", "pointed tree", "cone shaped tree", "evergreen", "mountain pine", "taiga tree",
        "holiday tree", "coniferous tree", "tree with cones", "alpine fir", "tannenbaum"),
    "mushroom": ("fungus with a cap", "button mushroom", "chanterelle", "shiitake", "truffle", "morel", "parasol mushroom",
        "poison mushroom",
        "magic mushroom", "spotted mushroom", "portobello", "boletus", "death cap", "cave mushroom", "fairy mushroom", "wild mushroom",
        "mushroom with a wide cap", "fungus on the forest floor", "puffball", "oyster mushroom", "toadstool for gnomes"),
    "barrel": ("whisky barrel", "cider barrel", "tun", "vat", "wooden cask", "powder keg", "gunpowder barrel", "water barrel",
        "pickle barrel",
        "brewery barrel", "tavern keg", "herring barrel", "barrel with hoops", "barrel of beer", "hooped wooden container", "firkin",
        "ale cask", "round wooden vessel for wine", "explosive barrel", "tub", "fuel barrel", "oil barrel", "steel barrel"),
    "crate": ("freight box", "wooden chest", "fruit crate", "ammo crate", "supply crate", "loot box", "cube of wood", "moving box",
        "coffer",
        "trunk for clothes", "delivery box", "gift box", "cardboard box", "bin", "storage chest", "milk crate", "boxes of goods",
        "casket", "apple crate", "warehouse box", "toolbox", "square box for storing things", "pirate chest"),
    "sword": ("steel sword", "two handed sword", "greatsword", "falchion", "machete", "foil", "epee", "viking sword", "roman gladius",
        "bastard sword", "magic sword", "hero's sword", "crusader sword", "sharp blade with a hilt", "long knife", "dirk", "stiletto",
        "fencing sword", "samurai blade", "duelling sword", "king's sword", "soldier's blade"),
    "hammer": ("wooden hammer", "rubber mallet", "stone hammer", "battle hammer", "smith's hammer", "tack hammer", "club hammer",
        "lump hammer",
        "croquet mallet", "meat mallet", "sledge", "beetle for pegs", "toolbox hammer", "dwarven hammer", "forge hammer",
        "tool for a builder", "ball peen hammer", "rock hammer", "mining hammer", "giant's mallet"),
    "rocket": ("space vessel", "rocket with fins", "space launcher", "interplanetary ship", "saturn rocket", "cartoon rocket",
        "firework rocket",
        "booster rocket", "ballistic missile", "torpedo", "lunar rocket", "mars rocket", "ship that flies to space", "launch vehicle",
        "retro rocket", "cosmic ship", "spaceliner", "flying rocket", "projectile with fins", "vehicle for cosmonauts"),
    "car": ("motor car", "motorcar", "coupe", "convertible", "station wagon", "minivan", "van", "roadster", "limousine", "pickup",
        "suv", "city car", "police car", "old timer", "cartoon car", "buggy", "vehicle with four wheels", "compact car",
        "thing you drive on the road", "hot rod", "beetle car", "estate car", "passenger car"),
    "boat": ("sail boat", "sailing boat", "catamaran", "cutter", "ketch", "galleon", "brig", "skiff", "barque", "toy boat", "toy ship",
        "wooden ship", "longship", "viking ship", "frigate", "caravel", "boat with a sail", "boat with one mast", "ship at sea", "clipper",
        "craft that floats on water", "wooden sailing craft", "trawler", "lifeboat", "fisherman's boat", "punt"),
    "snowman": ("snow person", "snow sculpture", "man built from snow", "christmas snowman", "smiling snowman", "stacked snowballs",
        "snow guy", "garden snowman", "snow fellow", "snowman for children", "snow dude", "three snowballs on top of each other",
        "snow statue", "little snow man", "body made of snowballs", "cartoon snowman", "snowman in a hat", "january snowman"),
    "robot": ("automaton", "battle robot", "service robot", "robot butler", "robot toy", "tin robot", "tin man", "machine man",
        "sci-fi robot", "cartoon robot", "household robot", "robot with two arms", "cybernetic man", "golem of metal", "android helper",
        "industrial robot", "walking machine", "artificial person", "mecha", "robotic friend", "space robot", "factory bot"),
}
# What people call the part in the main colour, and further words for that in the second.
MAIN_PARTS = {
    "chair": ("seat and back", "seat"), "stool": ("seat", "top"), "table": ("top", "tabletop", "board"), "lamp": ("shade", "lampshade"),
    "mug": ("body", "outside"), "bottle": ("body", "glass"), "house": ("walls", "bricks", "facade"), "tower": ("walls", "stones", "body"),
    "round tree": ("leaves", "crown", "foliage"), "pine": ("needles", "branches"), "mushroom": ("cap", "hat"),
    "barrel": ("staves", "wood", "body"), "crate": ("sides", "boards", "planks"), "sword": ("blade", "edge"), "hammer": ("head", "iron"),
    "rocket": ("body", "hull", "fuselage"), "car": ("body", "bodywork", "paint"), "boat": ("hull", "planks"),
    "snowman": ("body", "snowballs"), "robot": ("body", "torso", "plates"),
}
MORE_PARTS = {
    "roof": ("roof", "rooftop", "roof tiles"), "wheels": ("wheels", "tyres", "tires", "rims"), "legs": ("legs", "table legs", "supports"),
    "cap": ("cap", "stopper", "cork", "lid"), "trunk": ("trunk", "stem", "bark"), "stem": ("stem", "stalk", "foot"),
    "hoops": ("hoops", "bands", "rings"), "frame": ("frame", "edges", "corners"), "fins": ("fins", "wings"), "sail": ("sail", "sails"),
    "hat": ("hat", "cap", "top hat"), "arms": ("arms", "limbs", "hands"), "base": ("base", "stand", "foot", "pole"),
    "grip": ("grip", "hilt", "handle", "pommel"), "handle": ("handle", "grip"), "top": ("top", "roof", "battlements"),
}
MORE_COLORS = {
    "red": ("cardinal red", "rose red", "strawberry red", "wine red", "maroon", "signal red", "apple red", "poppy red", "reddish"),
    "orange": ("apricot", "amber", "burnt orange", "peach orange", "rust orange", "fox orange", "neon orange", "orangey"),
    "yellow": ("gold", "gold coloured", "corn yellow", "bright yellow", "straw yellow", "buttercup yellow", "honey yellow", "saffron",
        "brass"),
    "green": ("forest coloured", "olive green", "pine green", "dark leaf green", "malachite", "racing green", "fern green",
        "spinach green"),
    "blue": ("sky blue", "deep blue", "midnight blue", "indigo", "lapis blue", "electric blue", "blueberry blue", "ultramarine", "bluish"),
    "purple": ("amethyst", "magenta purple", "aubergine", "royal violet", "heather purple", "indigo violet", "purplish"),
    "pink": ("rosy", "blush pink", "candy pink", "flamingo pink", "pastel pink", "fuchsia pink", "baby pink", "barbie pink"),
    "brown": ("dark brown", "light brown", "chestnut", "hazelnut brown", "rust brown", "cedar brown", "leather brown", "earth brown",
        "made of wood"),
    "white": ("bright white", "milk white", "marble white", "porcelain white", "pure white", "eggshell white", "whitewashed",
        "bleached white"),
    "black": ("ink black", "raven black", "charcoal black", "midnight black", "deep black", "soot black", "onyx", "tar black"),
    "gray": ("metallic grey", "light grey", "dark grey", "concrete grey", "lead grey", "pewter", "chrome", "made of steel", "cloudy grey"),
    "teal": ("blue green", "greenish blue", "aqua green", "petrol blue", "mint blue", "lagoon blue", "peacock blue", "sea blue green"),
    "lime": ("apple green", "spring green", "yellow green", "chartreuse", "bright green", "acid green", "fresh green", "pale green"),
    "beige": ("off-white beige", "sandy", "light tan", "buff", "oatmeal", "biscuit coloured", "champagne beige", "linen coloured",
        "pale brown"),
}
# Other things a colour may be called by: what has it.
MATERIALS = {
    "red": ("red brick", "rubies", "red lacquer"), "orange": ("terracotta", "orange plastic"),
    "yellow": ("gold", "brass", "straw", "honeycomb"),
    "green": ("jade", "emeralds", "moss", "green glass"), "blue": ("sapphires", "lapis lazuli", "blue glass"), "purple": ("amethyst",),
    "pink": ("rose quartz", "pink marble", "candy floss"),
    "brown": ("wood", "timber", "leather", "cardboard", "chocolate", "teak", "wooden boards", "clay", "cork"),
    "white": ("marble", "porcelain", "ivory", "snow", "paper", "plaster", "bone"),
    "black": ("obsidian", "ebony", "coal", "black iron", "tar"),
    "gray": ("steel", "iron", "stone", "granite", "concrete", "silver", "tin", "aluminium", "cobblestone", "metal"),
    "teal": ("turquoise", "aqua glass"), "lime": ("lime plastic", "fresh grass"),
    "beige": ("sandstone", "wicker", "linen", "bamboo", "sand"),
}
FREE = Wording({family: tuple(noun for noun in NOUNS[family] + phrases.NAMES[family] + phrases.USES[family]
                              if noun not in phrases.KEPT_BACK[family]) for family in NOUNS},
               {name: USUAL_COLORS[name] + words for name, words in MORE_COLORS.items()},
               {part: USUAL_PARTS.get(part, (part,)) + words for part, words in MORE_PARTS.items()},
               sentences.PLAIN, sentences.MAIN_ONLY, sentences.BOTH, sentences.SAME, ("{}",), sentences.SECOND_ONLY, MAIN_PARTS)
OF_MATERIAL = replace(FREE, colors=MATERIALS, main_only=sentences.OF_MATERIAL)
# "a something to sit on" -> "something to sit on"
SOMETHING = re.compile(r"\b(?:an?|one|the|some|my) (?=something)")


def free_look(family: str, first: str, second: str, rng: np.random.Generator) -> tuple[str, str]:
    """Colours for a free caption: now and then the usual main one, so that the second can be named alone."""
    return (USUAL[family][0] if rng.random() < 0.2 else first), second


def free_caption(family: str, first: str, second: str, rng: np.random.Generator,
                 nouns: Mapping[str, tuple[str, ...]] = FREE.nouns) -> str:
    """What a person might type in other words for a prop in these colours; usual ones may go unsaid. nouns : by family"""
    usual, silent = USUAL[family], rng.random()
    wording = replace(FREE, nouns={family: (_described(_pick(rng, nouns[family]), rng),)})
    if (first, second) == usual and silent < 0.5:
        return _placed(caption(family, None, None, rng, wording), family, rng)
    if first == usual[0] and second != usual[1] and silent < 0.7:
        return _placed(caption(family, None, second, rng, wording), family, rng)
    omitted = second in (first, usual[1]) and silent < 0.8
    if omitted and rng.random() < 0.15:
        wording = replace(OF_MATERIAL, nouns=wording.nouns)
    return _placed(caption(family, first, None if omitted else second, rng, wording), family, rng)


def _described(noun: str, rng: np.random.Generator) -> str:
    """The name of a thing, at times with what it is like or whose."""
    kind = rng.random()
    if noun.startswith("something") or kind > 0.4:
        return noun
    return f"{_pick(rng, sentences.QUALITIES if kind < 0.3 else sentences.OWNERS)} {noun}"


def _placed(text: str, family: str, rng: np.random.Generator) -> str:
    """A sentence, at times with where the thing is or what stands beside it, in the words around it."""
    kind = rng.random()
    if kind < 0.2:
        text = f"{text} {_pick(rng, sentences.PLACES)}"
    elif kind < 0.25:
        other = _pick(rng, [name for name in USUAL if name != family])
        text = _pick(rng, sentences.BESIDE).format(text, other=other)
    text = _pick(rng, sentences.FRAMES).format(text)
    return ARTICLE.sub("an ", SOMETHING.sub("", text))


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
