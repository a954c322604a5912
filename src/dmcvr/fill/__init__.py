"""Ways to fill the gaps between slices: the published one, ours, and the plain ones."""
