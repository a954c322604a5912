"""What checks arrays against the shapes in signatures: beartype, which takes an int for a float as PEP 484 does."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
