"""Training of the props models: one module a model, all through `loop.fit`."""
