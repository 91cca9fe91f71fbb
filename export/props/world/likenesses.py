"""Words that are no names of props but that the text encoder finds nearer to those of one family than to all others.

Picked by its similarity alone, from the words of its table that the benchmarks' paraphrases do not hold: 0.05 nearer than to the
next family, 0.08 nearer than to other things, by the likeness of `prompt_check`. A few captions have one in the place of a name, so that
the prior follows likeness where it does not know a word.
"""

LIKE = {family: tuple(words.split()) for family, words in {
    "chair": """
chairs chairperson judge chairman barber chaired judges justices directors congressman cushions yoga posture grandfather pillows
vertebrae lounge bench courtroom director congressional jurist hunched spinal hostess seating couch attendants sitting sits seated
positions resting teacher teachers""",
    "stool": """
bar shoes drummer restroom bars toilets pianist toilet shoe ottomans drumming barefoot stalls vanity stall bathroom aisles privy drums
squat piano""",
    "table": """
tables buffet desktop rows sql office pool database column pools meeting joins excel meetings columns cards databases drafting poker
banquet offices gathering agencies row workplace conferences lunch reception gatherings board tray cad dining""",
    "lamp": """
lamps lighting bulbs bulb illumination fixture brightness lighted illuminated luminous illuminating fluorescent lanterns lit luz
moonlight torches led shining mood nighttime flashlight brightly study spotlight brightened candles brighter torch sunlight dusk
brightest nocturnal pupil darkening fixtures glow readings daylight candle darkened studying flickered electricity lux optical photon
radiant moods gazes shades sunshine glowed tiffany translucent flickering php fading daytime reflect reading blinding electrical glare
infrared reflective wavelengths ambient ultraviolet spectroscopy""",
    "mug": """
cups tea coffee chocolate enamel porcelain caf starbucks horton pottery sipping pots tumble microwave unions dunne beverages steamed
pot meng stove lids cupping ceramics brew beverage guinness poured mint lid milk drinks draught lac pour brewing spilling""",
    "bottle": """
bottles perfume scent fragrance cologne syrup scents bottled oils champagne scented medicines mead medications prescription phi jars
pharmacy medicine juice solvent jar spray opium medication pharmaceutical wines vodka aroma pills supplements substances supplement
doses medicinal pharmaceuticals coke herbal clinic raoul chemist chemicals sauce ingredients purification medici concentrate mixture
vinegar""",
    "house": """
homes houses residences residential sheds households stability cottages housing dwellings resident barns household housemates huts
mansions bedrooms villas neighborhood residency village hove tenants condo neighbourhood doors maison unstable estates reside
neighbourhoods landlord neighborhoods residents residing cabins hometown commune tenant lodges casa apartment rents resided monopoly
farm villages mortgage rural farms apartments roofs evicted neighbours hovered hostel farmland place lodging inhabited lifestyle
heartland township hovering stabilization community suburb hospitality interiors locality""",
    "tower": """
towers fortified rise fortifications fortress gate cathedral keeps forts rising rises khalifa keeping turrets monument garrison
superstructure pillars castles monumental moat battles domes pillar battle gates kept tallest mina storey siege elevations tianjin
brigades battalions beacon slab concrete slabs dungeon towering viaduct pisa massif heights base vaulted trenches waterloo besieged
defenses parapet mobilized governorate basel concepcion palaces nantes gettysburg vantage domed barracks landmarks trench bunker
khorasan militias dungeons concourse structures""",
    "round tree": """
park mango pear linden orchard almond bao parks orchards deciduous olive beech trees botanic""",
    "pine": """
pines cone cones needle ornaments conical hampson mountain northwest mountainous mountains triangular""",
    "mushroom": """
mushrooms fungal spores toad parasite mold parasitic parasites pathogen smallpox poisonous capped yeast strains delgado snails whitish
puff porto stem caps jesuits luzon""",
    "barrel": """
barrels muzzle hoop handgun gunpowder browning firearm shotgun herring firearms revolver colt ammunition magnum cas gunnery browne
sherry brewery johnnie springfield bullets""",
    "crate": """
boxes boxed parcels deliveries cardboard cages chests delivery packaging coffin warehouse storage shipments crates supplies packages
inventory delivered dowry ham mail packed briefcase packaged deliver delivering cage logistics supply luggage goods warehouses
purchases distributing storing shipment groceries distributors suppliers freight procurement gifts shipping cubic compartment
belongings enclosure folder transport""",
    "sword": """
swords bladed blades fencing kata saber knife daggers knives sheath hilt cavalry knights duel crusader martial gallantry paramilitary
slashed yusuf rune macbeth sharp knighted weaver warrior fusiliers shortened tang stabbed melee karate detachment runes siegfried
serra austen judo scissors jacobite freyja sao carvings princely hurling thinner wielding erwin harrow germanic shea mach highlanders
cutler asturias sharpe razor saxons barony parry mandolin slicing sharpened fence stab saxon wah firth hodge nobleman""",
    "hammer": """
hammering drilling bolts tools pounding hammered bolted drills bolt tender demolition mining tapping leverage pounded decker claw
pressing horseshoe banging gong smith builder slamming snapping spade seized thrash bain craftsman torque knuckles mill flint
repairing shovel milling richter jammed rake brass salvage geologist smack roared repairs welded mason fisted grips stormed porter
blacksmith""",
    "rocket": """
missiles rockets satellites launched launches orbit launching aerospace orbiting planes orbital astronaut orbits nasa plane cosmic
flying launcher mars propulsion airplanes thrust galaxies flights apollo galactic aircraft aviation flight aeronautical flown airplane
piloted blasts saturn voyager jet airborne aeronautics torpedoes pilots boeing soared landing explosions airlift flew missions
landings explodes iss fins booster comets ballistic comet fireworks aero transmitter ufo airline pilot payload explosion accelerator
sts carrier carriers projectile explode""",
    "car": """
cars automobiles automotive vehicles hears motorway trucks roadside bmw chevrolet pontiac nissan mercedes honda drove dealers limo
wagon chevy mcqueen motorcycles ford wagons hyundai racers highways rally chrysler motorsport mclaren mustang peugeot motorsports
tyres audi buick prix speedway rover dodge traffic aston renault suzuki vans motorcycle braking kia civic tires highway bug driver
nascar toyota freeway lex driven uber hybrid chassis caravan roadway parked drivers track passenger racetrack rearview dealer""",
    "boat": """
boating sailing boats sail sails canoe rowing skipper sailed fishermen fisherman barges seaman nautical maritime sailors fisheries
shipyard fishery waterways estuary warship coastal coastline shore raft harbor shoreline whaling shipbuilding river aquatics seamen
offshore swim ferries naval sailor steamboat ships privateer galley shores warships flotilla rapids aground seas coasts ashore marina
aquatic ferry coast swam overboard oceanic paddle winds steamship hms bwf floats submerged marine cruises waterway straits ocean
captained""",
    "snowman": """
snowfall skiing skier freezing frost froze frozen icy shivering weather warmly glaciers glacier freeze colder ski chilly winters
precipitation ice hats cold santa meteorological claus inuit reindeer rudolph temperatures avalanche ranger melting""",
    "robot": """
robots robotic robotics artificial replica walking replicate agent animator machines agents smartphone butler programmed automation
technicians programmer technician servant engineers walked replication walks engineer worker mechanisms automated mani prototype toys
engineering mechanics servants programming manned patrolling machinery laborers""",
}.items()}
