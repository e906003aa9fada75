"""libws inside other programs."""
