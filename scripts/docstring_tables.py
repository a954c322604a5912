"""For the documentation's reference: the docstrings' tables, plain for `help()` to read well, become Markdown's."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

#: A table's first and last line, such as "=====  =========".
RULE = re.compile(r"^(=+ +)+=+$")


class DocstringTables(Extension):
    """Rewrites every docstring that has such a table."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_markdown_tables(obj.docstring.value)


def with_markdown_tables(text: str) -> str:
    """The text with its simple tables (no heads, a row a line, the last column as long as it likes) as Markdown."""
    lines, cuts = [], []
    for line in text.splitlines():
        if RULE.match(line.strip()):
            columns = [match.span() for match in re.finditer("=+", line)]
            lines += [] if cuts else ["", "|" + "   |" * len(columns), "|" + "---|" * len(columns)]
            cuts = [] if cuts else [start for start, _ in columns]
        elif cuts:
            ends = [*cuts[1:], None]
            cells = [line[start:end].strip().replace("|", "\\|") for start, end in zip(cuts, ends, strict=True)]
            lines.append("| `" + cells[0] + "` | " + " | ".join(cells[1:]) + " |")
        else:
            lines.append(line)
    return "\n".join(lines)
