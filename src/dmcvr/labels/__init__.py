"""Label maps: signed distances and probabilities, connected components, colours."""
