"""The bundled `props` pack: a procedural world of game props, and the training of every model on it."""
