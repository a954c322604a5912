"""Deformations between neighbouring slices, and the paths along them."""
