"""More ways to ask for a prop than `captions` has: other words for the thing, its parts and colours, and freer sentences.

Trained on beside the captions of props, so that words which are in neither find the right thing by their likeness. The benchmarks'
paraphrases share no name of a thing with them.
"""

import numpy as np

from .captions import PART_WORDS as USUAL_PARTS
from .captions import WORDS as USUAL_COLORS
from .captions import Wording, caption
from .families import USUAL

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
PLAIN = ("a {noun}", "{noun}", "one {noun}", "an old {noun}", "a tiny {noun}", "a fantasy {noun}", "the {noun} from a story",
         "a {noun} standing there", "a detailed {noun}", "make me a {noun}", "a cute {noun}", "a medieval {noun}", "some {noun}")
MAIN_ONLY = ("a {c1} {noun}", "a {noun} with {c1} {main}", "a {noun} with a {c1} {main}", "a {noun} whose {main} is {c1}",
             "a {noun}, its {main} {c1}", "a {noun}, {c1}", "{noun} coloured {c1}", "an old {noun}, {c1} all around",
             "a {noun} of {c1} colour", "a big {c1} {noun} for my room", "a {noun} that looks {c1}", "a {noun} covered in {c1}",
             "a {c1} {noun}, new and shiny", "please make a {c1} {noun}", "{c1} is the colour of this {noun}", "a {noun} dyed {c1}",
             "the {main} of the {noun} is {c1}", "a rusty old {noun} in {c1}", "a cartoon {noun} with {c1} {main}",
             "somebody's {c1} {noun}", "an ancient {noun} built out of {c1} material", "{c1} {noun} of a king")
BOTH = ("a {noun} with {c1} {main} and {c2} {part}", "a {noun} with a {c1} {main} and a {c2} {part}", "a {c1} {noun} with {c2} {part}",
        "a {c1} {noun} with a {c2} {part}", "a {noun}, {c1} but with a {c2} {part}", "a {c1} {noun} whose {part} is {c2}",
        "a {noun} with {c2} {part} and {c1} {main}", "{c2} {part} on a {c1} {noun}", "a {noun}, the {main} {c1} and the {part} {c2}",
        "{noun}: {main} {c1}, {part} {c2}", "a {c1} {noun} that has a {c2} {part}", "the {noun} is {c1} and its {part} is {c2}",
        "an old {c1} {noun}, its {part} {c2}", "a {c1} {noun}, the {part} in {c2}")
SECOND_ONLY = ("a {noun} with a {c2} {part}", "a {noun} with {c2} {part}", "a {noun} whose {part} is {c2}", "{noun}, {c2} {part}",
               "a {noun} that has a {c2} {part}", "the {part} of the {noun} is {c2}", "a {noun} and its {c2} {part}")
SAME = ("an all {c1} {noun}", "a {c1} {noun}", "a {noun} that is {c1} all over", "everything {c1}: a {noun}",
        "a {noun} in nothing but {c1}", "a {noun} painted {c1} everywhere", "a {c1} {noun} with {c1} {part}")
FRAMES = ("{}", "{}", "{}", "{}", "{}", "{}, stylized", "{}, realistic", "{} as a toy", "an image of {}", "{} in a video game",
          "i want {}", "{}, high quality", "prop: {}", "{} in a garden", "{} on the ground", "{} for children",
          "{} from a fantasy world")
FREE = Wording(NOUNS, {name: USUAL_COLORS[name] + words for name, words in MORE_COLORS.items()},
               {part: USUAL_PARTS.get(part, (part,)) + words for part, words in MORE_PARTS.items()},
               PLAIN, MAIN_ONLY, BOTH, SAME, FRAMES, SECOND_ONLY, MAIN_PARTS)


def free_look(family: str, first: str, second: str, rng: np.random.Generator) -> tuple[str, str]:
    """Colours for a free caption: now and then the usual main one, so that the second can be named alone."""
    return (USUAL[family][0] if rng.random() < 0.2 else first), second


def free_caption(family: str, first: str, second: str, rng: np.random.Generator) -> str:
    """What a person might type in other words for a prop in these colours; usual ones may go unsaid."""
    usual, silent = USUAL[family], rng.random()
    if (first, second) == usual and silent < 0.5:
        return caption(family, None, None, rng, FREE)
    if first == usual[0] and second != usual[1] and silent < 0.7:
        return caption(family, None, second, rng, FREE)
    may_omit = second in (first, usual[1])
    return caption(family, first, None if may_omit and silent < 0.8 else second, rng, FREE)
