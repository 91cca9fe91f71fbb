"""What the readers of mesh files share: parts, materials, notices, and the files beside a file."""

# What our own files say wrote them.
GENERATOR = "Meshwright"
