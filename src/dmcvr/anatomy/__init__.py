"""The whole heart: a closed apex, and a base that ends at its valves, beyond what the slices show."""
