"""The world of the bundled pack: props with known distance and colour, their captions, cameras, pictures."""
