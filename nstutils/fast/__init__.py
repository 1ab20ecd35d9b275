"""A network that paints in one pass."""
