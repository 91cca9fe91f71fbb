"""Still more names of props, and what they are for or look like, in the place of a name: what `wordings` speaks of besides its own.

Like those, they share no name of a thing with the benchmarks' paraphrases.
"""


def _split(text: str) -> tuple[str, ...]:
    return tuple(phrase for line in text.strip().splitlines() for phrase in line.split(", "))


NAMES = {family: _split(text) for family, text in {
    "chair": """
rocker, swivel chair, windsor chair, carver chair, stacking chair, patio chair, beach chair, camp chair, gaming chair, barber's chair
lawn chair, wing chair, ladder back chair, director's chair, salon chair, dentist's chair, club chair, feeding chair, reading chair
judge's seat, grandfather's chair, waiting room chair, wooden seat with a tall back, church chair, bench for one person
sunroom chair, chair made of planks, simple seat with four legs, teacher's chair, conference chair, spindle back chair""",
    "stool": """
foot rest, kitchen stool, bar seat, round seat without a back, tripod stool, saddle stool, shoe stool, guitar player's stool, lab stool
sitting block on legs, small seat, bathroom stool, cow milking seat, pub seat, high stool, low stool, wooden footrest, plant stool
seat for a bar, drum stool, kids' stool, studio stool, farm stool, seat of a pianist, round topped stool, counter seat, cafe stool
short seat with legs, seat with no backrest, shepherd's stool, fireside stool""",
    "table": """
dressing table, altar table, breakfast table, lunch table, pool table, tavern table, refectory table, bedside table
gaming table, gateleg table, sewing table, changing table, sofa table, pedestal table, low table, meeting table, drafting desk
reception desk, student's desk, home office desk, standing desk, teacher's desk, wooden board on legs, board with four legs
farmhouse table, banqueting board, buffet table, patio table, craftsman's bench, counter on legs, long table, cafe table""",
    "lamp": """
nursery lamp, piano lamp, banker's lamp, arc lamp, tiffany lamp, reading lamp, lamp on a pole, shaded light, study light, electric lamp
indoor lamp, oil lamp, table light, light with a lampshade, lounge lamp, hotel lamp, tall lamp, little lamp, corner lamp, decorative lamp
bulb with a shade, light for reading, office lamp, old fashioned lamp, light stand, torch lamp, mushroom shaped lamp, ambient light
sleeping room lamp, luminaire, candlestick lamp, light source for a table""",
    "mug": """
teacup with a handle, mocha cup, travel mug, beer stein, porcelain mug, clay mug, tin cup, enamel cup, camp cup, big cup, small cup
office mug, kids' cup, milk cup, hot chocolate mug, coffee beaker, tea mug, wooden tankard, ale mug, viking mug, glass of beer with a handle
soup cup, mug of coffee, mug with a big handle, cup for tea, pint mug, drinking mug, crockery mug, mug of milk, cider mug, demitasse""",
    "bottle": """
rum bottle, gin bottle, cola bottle, medicine flask, sauce bottle, shampoo bottle, baby bottle, olive oil bottle, lemonade bottle
syrup bottle, mead bottle, hip flask, thermos, cruet, health potion, mana potion, alchemist's flask, scent bottle, cologne bottle
message in a bottle, jar with a stopper, carafe of water, thin necked jug, drink in a bottle, spirits bottle, sports bottle, tonic
vodka bottle, milk flask, glass jar with a lid, plastic bottle, corked bottle, detergent bottle, liquor bottle, demijohn""",
    "house": """
holiday home, beach house, hunting lodge, ranch, farm building, wooden hut, garden house, playhouse, log house, stone house, brick house
homestead, fisherman's hut, alpine hut, cabin in the woods, witch's house, grandma's house, small home, row house, guest house
hermitage, bakery, blacksmith's house, pub building, shack, lakeside cabin, croft, parsonage, estate house, living house, thatched cottage
post office, village shop, gatekeeper's lodge, barnhouse, dog house, birdhouse, monopoly house""",
    "tower": """
observation tower, fortified tower, castle turret, corner tower, siege tower, campanile, pagoda, obelisk, rapunzel's tower, gate tower
fire tower, radio tower, archer tower, stone keep, fortification, bastille, town tower, sorcerer's tower, prison tower, tall tower
ruined tower, border tower, pillar of stone, brick tower, tower with battlements, round keep, dungeon tower, beacon tower, cathedral tower
water tank tower, tower of a fortress, high rise, silo, tall round building, garrison tower""",
    "round tree": """
fig tree, mango tree, lime tree, alder, aspen, rowan, magnolia, almond tree, olive tree, peach tree, acacia, hornbeam, hawthorn, baobab
shady tree, broad tree, tree with a thick crown, orchard tree, street tree, tree house tree, village tree, tall leafy tree, round bush
small tree, deciduous plant with a trunk, tree of life, cartoon tree, tree with green leaves, big tree, ancient tree, tree of the park
spring tree, eucalyptus, mulberry tree, avocado tree, tree in full leaf""",
    "pine": """
christmas pine, decorated christmas tree, winter tree, arctic tree, fir with needles, norway spruce, white pine, scots pine, black pine
balsam fir, silver fir, young spruce, tall conifer, snowy pine, needle bearing tree, conical tree, triangular tree, tree of the taiga
evergreen conifer, pine sapling, yule tree, tree for christmas, nordic tree, mountain tree, cypress tree, thuja, arborvitae
evergreen of the mountains, softwood tree, stone pine, little fir tree, pine of the north""",
    "mushroom": """
cap fungus, woodland mushroom, cartoon mushroom, toad stool, red capped mushroom, penny bun, chestnut mushroom, field mushroom
enoki, forest fungus, edible mushroom, poisonous mushroom, glowing mushroom, mushroom with dots, mushroom house, alien mushroom
mushroom with a thick stalk, fungal growth, ink cap, milk cap, russula, honey fungus, umbrella shaped fungus
super mushroom, portobello mushroom, spongy fungus, white mushroom, wood mushroom, fungi, matsutake, hallucinogenic fungus""",
    "barrel": """
wooden keg, storage barrel, sherry cask, brandy cask, port barrel, fish barrel, apple barrel, flour barrel
toxic waste barrel, beer barrel, barrel of wine, barrel of gunpowder, small keg, big barrel, aged cask, ship's barrel, dock barrel
salt barrel, cooper's barrel, vinegar barrel, pub keg, metal barrel, iron barrel, round tub, banded cask, honey barrel, kilderkin, puncheon
powder barrel, barrel for wine, water cask, brewer's vat, distillery cask""",
    "crate": """
bottle crate, pallet box, vegetable box, wooden cube, storage crate, tea chest, sea chest, hope chest, dowry chest
strongbox, mail parcel, post parcel, moving carton, pirate's chest, ammunition box, weapon crate, lunch box, packing crate, square crate
jewellery box, bread bin, feed bin, crate of apples, crate of oranges, box with a frame, reinforced box, transport box, heavy box
blanket box, present, mystery box, supply box, dock crate, shipment box, hamper, wooden case with edges""",
    "sword": """
excalibur, longblade, arming sword, backsword, knightly sword, steel blade, cavalry sword, pirate's cutlass, paladin's sword, hunting knife
combat knife, double edged blade, thin blade, small sword, elven blade, demon sword, ceremonial sword, rune sword, gladiator's blade
bronze sword, wooden training sword, zweihander, flamberge, shortsword, swordsman's blade, saxon seax, dueling blade, bayonet, kris
officer's sword, ancient blade, sharp sword, wakizashi, spatha, estoc, sword of light""",
    "hammer": """
framing hammer, tool hammer, brass hammer, mason's hammer, carpenter's mallet, wooden mallet, big hammer, viking hammer, warhammer
demolition hammer, roofing hammer, cobbler's hammer, geologist's hammer, tenderizer, paladin's hammer, gong mallet
steel hammer, workshop hammer, magic hammer, iron hammer, bricklayer's hammer, repair hammer, pounding tool, striking tool, small hammer
gold hammer, hand hammer, jeweller's hammer, toy hammer, upholsterer's hammer, heavy maul""",
    "rocket": """
space probe, moon ship, star cruiser, space capsule with fins, comic rocket, fifties rocket, orbital rocket, interstellar vessel
alien ship, satellite carrier, planetary lander, warhead, guided missile, cruise missile, bomb with fins, sounding rocket, nuclear missile
firecracker, apollo rocket, space craft, exploration ship, galaxy ship, tall space ship, astronaut's ship, cosmonaut's rocket, rocket plane
two stage rocket, cargo rocket, rocket to mars, pointed missile, carrier rocket, space ferry""",
    "car": """
family wagon, saloon car, electric car, sports coupe, rally car, muscle car, vintage car, classic car, race car, crossover, off roader
delivery van, mini car, town car, cadillac, porsche, volkswagen, rental car, hybrid car, getaway car, company car, cabriolet, four wheeler
road vehicle, motor vehicle, hearse, ambulance, camper van, driving school car, pedal car, model car, land rover, car with four doors
supermini, microcar, police cruiser, kids' car, fast car, wagon with an engine""",
    "boat": """
sail ship, tall ship, wooden boat, small boat, lugger, dhow, junk, windjammer, trading ship, merchant ship, warship with a sail, cog ship
man of war, whaler, corvette, explorer's ship, felucca, racing yacht, river boat, sail yacht, brigantine, model ship, fishing smack
xebec, carrack, ferry boat, ship with a mast, harbour boat, crab boat, ark, paper boat, boat on a lake, marine craft, barge
nordic longboat, bark with a sail, one masted ship""",
    "snowman": """
happy snowman, frozen snowman, snowman made by kids, snow doll, snow being, melting snowman, snowman with buttons, little snowman
big snowman, snowman in the yard, man of ice and snow, snowball man, ice man, snowman figure, holiday snowman, winter man made of snow
snow creature with a carrot nose, snow buddy, friendly snowman, snow sculpture of a man, snowman decoration, polar snowman, snow effigy
person made of snow, stack of three snowballs, snowy fellow, snowman with a scarf, snowman with stick arms""",
    "robot": """
rescue robot, combat bot, war robot, robot soldier, kitchen robot, mechanical person, clockwork man, walking robot, metal man, steel man
artificial human, cute robot, retro robot, robot from the fifties, humanoid bot, helper bot, repair bot, security robot, robot guard
robot child, alien robot, robot of a scientist, steampunk robot, transforming robot, mechanical servant, computer with arms and legs
replicant, terminator, iron giant, box shaped robot, electronic man, robotic toy, assembly robot, cyber warrior""",
}.items()}

# They stand where a name stands: behind "a", or, those that begin with "something", alone.
USES = {family: _split(text) for family, text in {
    "chair": """
something to rest on with a back, something with a seat, a back and four legs, something one sits on at a dining table
something you lean back in, furniture for sitting with a back, piece of furniture to sit in
place for one person to sit, seat that supports your back, something for grandma to sit and knit in""",
    "stool": """
something to sit on that has no back, something you sit on while milking a cow, something to put your feet on
something to stand on to reach the shelf, round thing to sit on, sitting furniture without a back, something to sit on at the counter
little round seat on legs, place to sit at the bar, simplest thing to sit on""",
    "table": """
something to put plates on, flat surface on legs, something to write letters on, something that stands in the dining room
piece of furniture to work at, something people gather around for a meal, furniture with a flat top, something to play cards on
place for a computer and papers, something to lay the books on, board that rests on legs""",
    "lamp": """
something that gives light, something that shines beside the bed, something to read by at night, thing with a bulb and a shade
something you switch on in the evening, source of light for the living room, something with a stand and a shade
appliance for lighting, glowing thing on a stand, something that brightens the desk""",
    "mug": """
something for drinking coffee, something to hold tea, something with a handle for hot drinks, thing to drink beer out of
piece of crockery with a handle, something for hot milk in the morning, something you fill with tea, small pot with one handle
cylinder with a handle on its side, something to sip coffee from""",
    "bottle": """
something that holds wine, something to keep water in with a narrow neck, something with a cork and a neck, glass thing for liquids
something an alchemist stores potions in, something to carry water in, something you pour oil from, thing with a cap that holds juice
something for perfume, something closed with a stopper""",
    "house": """
something a family lives in, place to live, building for people to live in, something with walls, a door and a roof
building with windows and a chimney, something built of bricks to live in, small building in the country
something with a door, two windows and a gabled roof""",
    "tower": """
something tall that guards the castle, high building to look out from, something a princess is locked up in, tall part of a castle
something archers shoot from, building much higher than wide, something with battlements, something built of stone to keep watch from
place where a magician lives high above the land, fortified building""",
    "round tree": """
something with a trunk and leaves, plant with a trunk and a crown, something that apples grow on, something birds nest in
tall plant that loses its leaves in winter, something that gives shade in the park, something with branches and leaves
something to climb in the garden, woody plant with a round crown, plant that grows acorns""",
    "pine": """
something with needles in place of leaves, something that stays green in winter, something decorated at christmas
plant of cold mountains with needles, something with cones and needles, tall pointed plant
woody plant with needles, something lumberjacks fell in the north, cone shaped plant""",
    "mushroom": """
something that grows under trees and has a cap, something with a cap and a stem, fungus that gnomes live in, something to pick in the woods
something to fry with butter from the forest, thing with a round cap on a stalk, something that sprouts after rain
umbrella of the forest floor, something poisonous with a cap, something that smurfs live in""",
    "barrel": """
something wine ages in, something that beer is stored in, something made of staves and hoops, round wooden thing for ale
something that rolls and holds beer, something whisky matures in, something to store gunpowder in, thing held together by hoops
something to keep salted fish in on a ship, bulging wooden tub""",
    "crate": """
something to pack things in, something goods are shipped in, something with six wooden sides, thing to store toys in
something treasure is kept in, square thing made of planks, something to put apples in, something that is opened for loot
something with a lid to keep clothes in, cube made of boards""",
    "sword": """
something a knight fights with, something with a blade and a hilt, something sharp to fight with, blade with a grip and a guard
something a warrior carries at his belt, something a hero draws from the stone, steel thing with a long blade, arm for close combat
something with a pommel and a sharp point, something used for fencing""",
    "hammer": """
tool with a heavy head on a handle, something a smith works with, something for beating iron
something to knock in tent pegs, tool for pounding, heavy tool with a long handle
something to break rocks with, tool to strike a chisel with""",
    "rocket": """
something that flies to the moon, something that takes people into space, something with fins and a pointed nose, thing that is launched
something that blasts off, something astronauts travel in, flying machine for space, something that orbits the earth
something that brings satellites into orbit, pointed thing with fins and a window""",
    "car": """
something to drive to work in, something with four wheels and an engine, something parked in the garage, vehicle for the motorway
something to drive a family to the seaside, machine with wheels and doors, thing that needs petrol, something people race on a track
vehicle with windows and headlights, something that honks in traffic""",
    "boat": """
something that sails across the sea, something to catch fish from, something with a hull and a sail, vehicle that floats
something sailors live on, something that is moved by the wind on water, something to cross a lake in, thing with a mast and a sail
craft for the ocean, something moored in the harbour""",
    "snowman": """
something children build in winter, something that melts in spring, figure with a carrot nose
something made of snow with a hat, cold fellow with coal buttons, white figure in the front yard
thing that stands in the snowy garden, heap of snow with eyes and a nose""",
    "robot": """
something that walks and runs on batteries, machine in the shape of a person, something with circuits and metal limbs
mechanical thing with a head and arms, something built by engineers to help people, metal being with antennae
something that talks like a computer and walks, artificial being, machine with a face, something programmed to clean the house""",
}.items()}

# In no caption: what the choice of captions and of how a training goes is measured on.
KEPT_BACK = {family: (*NAMES[family][::11], USES[family][0]) for family in NAMES}
