"""Things that are none of the world's families, so that a prompt for one of them can be told from one for a prop."""

OTHER_THINGS = tuple(f"a {name}" for line in """
wolf, bear, fox, rabbit, mouse, tiger, monkey, whale, octopus, crab, turtle, bee, ant, crocodile, camel, goat, donkey, deer, squirrel
owl, parrot, swan, peacock, dinosaur, fish, bird, insect, monster, creature, beast, animal
strawberry, cherry, pineapple, lemon, tomato, onion, cucumber, sausage, pancake, cookie, chocolate bar, soup, salad, meal, fruit
saxophone, harp, accordion, trombone, cello, banjo, tambourine, loudspeaker, radio, musical instrument
tablet, monitor, calculator, projector, drone, satellite, compass, microscope, battery, cable, router, machine gun, computer
scooter, tram, hovercraft, balloon, parachute, wheelchair, escalator, crane, excavator, jet plane, locomotive, digger
jacket, pair of trousers, sweater, scarf, belt, necktie, bracelet, earring, wallet, suitcase, handbag, mask, wig, piece of clothing
man, girl, boy, king, nurse, policeman, pirate, ninja, elf, goblin, orc, vampire, werewolf, ghost, angel, alien, cowboy, samurai, person
forest, waterfall, lake, desert, beach, cliff, road, street, railway, harbour, fountain, pyramid, temple, tomb, landscape, city
notebook, pen, paintbrush, ruler, stapler, envelope, stamp, newspaper, calendar, picture frame
carpet, curtain, blanket, shower, bathtub, sink, oven, fridge, toaster, kettle, spoon, fork, plate, bowl, pan, vase, bucket, broom
rifle, pistol, bomb, grenade, catapult, sling, trident, suit of armor, gauntlet, pair of boots, saddle, anvil
leaf, sunflower, tulip, orchid, seaweed, coral, bamboo, vine, pumpkin, plant
ball, kite, doll, teddy bear, puzzle, die, chessboard, racket, trophy, medal, flag
heart, brain, eye, hand, foot, tooth, bone, face, head of a man
screwdriver, wrench, saw, drill, nail, screw, ladder, rope, chain, wheel, gear, engine, pipe
sun, moon, star, cloud, lightning bolt, rainbow, snowflake, fire, planet
tent, igloo, stadium, factory, skyscraper, tunnel, swing, slide, door, window, staircase, fireplace, wardrobe, cupboard, bookcase
dumbbell, cigarette, hourglass, crystal, diamond, scroll, banner, totem, statue, gravestone, altar, portal, treasure, jewel
""".strip().splitlines() for name in line.split(", "))
