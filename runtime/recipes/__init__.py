"""The order in which the runtime runs a pack's components, one module a recipe."""
