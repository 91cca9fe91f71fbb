"""The bundled props pack: its world, its training."""
