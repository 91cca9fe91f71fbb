"""Sentences for captions in free wording, what is said around them, and what is said of a thing besides its colours."""

PLAIN = ("a {noun}", "{noun}", "one {noun}", "an old {noun}", "a tiny {noun}", "a fantasy {noun}", "the {noun} from a story",
         "a {noun} standing there", "a detailed {noun}", "make me a {noun}", "a cute {noun}", "a medieval {noun}", "some {noun}",
         "the {noun} i saw yesterday", "just a {noun}", "a {noun} as one knows it", "a {noun} of the usual kind")
MAIN_ONLY = ("a {c1} {noun}", "a {noun} with {c1} {main}", "a {noun} with a {c1} {main}", "a {noun} whose {main} is {c1}",
             "a {noun}, its {main} {c1}", "a {noun}, {c1}", "{noun} coloured {c1}", "an old {noun}, {c1} all around",
             "a {noun} of {c1} colour", "a big {c1} {noun} for my room", "a {noun} that looks {c1}", "a {noun} covered in {c1}",
             "a {c1} {noun}, new and shiny", "please make a {c1} {noun}", "{c1} is the colour of this {noun}", "a {noun} dyed {c1}",
             "the {main} of the {noun} is {c1}", "a rusty old {noun} in {c1}", "a cartoon {noun} with {c1} {main}",
             "somebody's {c1} {noun}", "an ancient {noun} built out of {c1} material", "{c1} {noun} of a king",
             "a {noun} finished in {c1}", "a {noun}, {main} in {c1}", "a {noun} that somebody painted {c1}", "a {noun} ({c1})",
             "a {noun} - {c1}", "{c1}, a {noun}", "a {noun} and it is {c1}", "a {noun}, mostly {c1}", "a {c1} one: a {noun}",
             "a {noun} which is {c1} on the outside", "a {noun} wearing {c1} paint", "a {noun} varnished in {c1}",
             "a {noun} sprayed with {c1} paint", "a {c1} {noun} seen from the front", "the {main} are {c1} on this {noun}",
             "a {noun} in a shade of {c1}", "a {noun} with {main} the colour of {c1}", "a {noun} having {c1} {main}",
             "my favourite {noun}, it has {c1} {main}")
BOTH = ("a {noun} with {c1} {main} and {c2} {part}", "a {noun} with a {c1} {main} and a {c2} {part}", "a {c1} {noun} with {c2} {part}",
        "a {c1} {noun} with a {c2} {part}", "a {noun}, {c1} but with a {c2} {part}", "a {c1} {noun} whose {part} is {c2}",
        "a {noun} with {c2} {part} and {c1} {main}", "{c2} {part} on a {c1} {noun}", "a {noun}, the {main} {c1} and the {part} {c2}",
        "{noun}: {main} {c1}, {part} {c2}", "a {c1} {noun} that has a {c2} {part}", "the {noun} is {c1} and its {part} is {c2}",
        "an old {c1} {noun}, its {part} {c2}", "a {c1} {noun}, the {part} in {c2}",
        "a {noun} painted {c1}, with {c2} {part}", "a {noun} in {c1} with {c2} {part}", "a {noun}, {c1}, {c2} {part}",
        "a {noun} whose {main} is {c1} and whose {part} is {c2}", "a {c1} and {c2} {noun}, the {part} in {c2}",
        "a {noun} with {c2} {part}, otherwise {c1}", "a {noun}: {c2} {part}, everything else {c1}", "{c1} {noun}, {part}: {c2}",
        "a {c1} {noun} and its {c2} {part}", "a {noun} that is {c1} except for the {c2} {part}", "a {noun} having {c1} {main}, {c2} {part}",
        "{c2} is the {part} and {c1} the {main} of the {noun}", "a {noun} ({c1}, {c2} {part})")
SECOND_ONLY = ("a {noun} with a {c2} {part}", "a {noun} with {c2} {part}", "a {noun} whose {part} is {c2}", "{noun}, {c2} {part}",
               "a {noun} that has a {c2} {part}", "the {part} of the {noun} is {c2}", "a {noun} and its {c2} {part}",
               "a {noun}, its {part} painted {c2}", "a {noun} with {part} in {c2}", "a {noun} having {c2} {part}")
SAME = ("an all {c1} {noun}", "a {c1} {noun}", "a {noun} that is {c1} all over", "everything {c1}: a {noun}",
        "a {noun} in nothing but {c1}", "a {noun} painted {c1} everywhere", "a {c1} {noun} with {c1} {part}",
        "a {noun}, {c1} from top to bottom", "a wholly {c1} {noun}", "a {noun} dipped in {c1} paint", "a {noun} in one colour: {c1}")
OF_MATERIAL = ("a {noun} made of {c1}", "a {noun} made from {c1}", "a {c1} {noun}", "a {noun} carved out of {c1}", "a {noun} of {c1}",
               "a {noun} built of {c1}", "a {noun}, made of {c1}", "a {noun} in {c1}", "a {noun} all of {c1}")
FRAMES = ("{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}, stylized", "{}, realistic", "{} as a toy", "an image of {}",
          "{} in a video game", "i want {}", "{}, high quality", "prop: {}", "{} in a garden", "{} on the ground", "{} for children",
          "{} from a fantasy world", "give me {}", "could you make {}", "i need {}", "3d asset: {}", "a 3d model of {}", "a sketch of {}",
          "{}, isolated", "{}, clean mesh", "{} for unity", "{}, cartoon style", "{}, simple shapes", "generate {}", "please {}",
          "{} for my level", "{} with few polygons", "this is {}", "{}, please", "a picture of {}", "{} for a scene")
# Said of a thing, and of no colour: before its name, or whose it is.
QUALITIES = tuple("""
big small large little tall short wide narrow heavy light-weight old new ancient modern antique vintage rustic elegant fancy cheap
expensive simple plain ornate sturdy broken worn weathered dusty polished shiny smooth rough round square pretty ugly cute funny weird
strange magical enchanted cursed haunted futuristic medieval victorian baroque traditional japanese scandinavian stylish cosy comfortable
handmade homemade wonderful beautiful lovely ordinary typical standard huge giant tiny massive slim thick
""".split())
OWNERS = tuple("""
farmer's|king's|queen's|witch's|child's|grandmother's|soldier's|merchant's|villager's|hero's|dwarf's|giant's|teacher's|doctor's
monk's|hunter's|baker's|gnome's|prince's|thief's|guard's|neighbour's|collector's|explorer's
""".replace("\n", "|").strip("|").split("|"))
# Where it is, or what it is for.
PLACES = tuple("""
in the rain|in the snow|at night|in the corner|on a hill|in a dungeon|in a museum|on the beach|in the kitchen|by the river|in a cave
on the market|in the forest|under the stars|in a shop window|in the courtyard|at the harbour|in the attic|from the old days
from the middle ages|from a fairy tale|from a cartoon|from japan|from the countryside|of the highest quality|of a good size
with a lot of detail|with scratches|with rounded edges|with a worn surface|for a game jam|for a film|for a quest|for the tutorial
for a present|for my daughter|for everyday use|for a collector|ready to use|left alone|seen in a dream|nobody wants any more
that looks expensive|that is very old|that glows|that was found in a ruin|that belongs in a museum|that everybody likes
""".strip().replace("\n", "|").split("|"))
# What something else stands by; the thing that is asked for comes first.
BESIDE = ("{} next to a {other}", "{} beside a {other}", "{} near the {other}", "{}, no {other}", "{}, not a {other}")
