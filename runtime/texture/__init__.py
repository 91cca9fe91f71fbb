"""From a mesh and colours to a texture: unwrap, bake, fill."""
