"""What finished assets cost and how good they are, and what real importers make of them."""
