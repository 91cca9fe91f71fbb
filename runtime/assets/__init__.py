"""What game engines want of a mesh: levels of detail, collision, scale and pivot, names, and a check of all that."""
