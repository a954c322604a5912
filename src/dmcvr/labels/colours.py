"""The colours of every picture, plot and page: Okabe and Ito's, which the colour-blind can tell apart."""

from __future__ import annotations

#: Label to colour: LV cavity orange, LV myocardium bluish green, RV cavity sky blue.
COLOURS = {1: (230, 159, 0), 2: (0, 158, 115), 3: (86, 180, 233)}

#: What was not measured but drawn between the slices: reddish purple.
BETWEEN = (204, 121, 167)

#: Marks in plots: blue.
MARK = (0, 114, 178)


def css(colour: tuple[int, int, int]) -> str:
    """As a style sheet, an SVG or matplotlib writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def unit(colour: tuple[int, int, int]) -> tuple[float, ...]:
    """Red, green and blue as shares of 1."""
    return tuple(round(part / 255, 2) for part in colour)


def linear(colour: tuple[int, int, int]) -> tuple[float, ...]:
    """As renderers reckon: shares of light, without sRGB's curve (IEC 61966-2-1, by its power of 2.2)."""
    return tuple(round((part / 255) ** 2.2, 2) for part in colour)
