"""Surfaces: meshes, and the file of a heart that beats."""
