"""Makes what others wrote, such as keys and values of senders, fit for a terminal and a log."""

from __future__ import annotations

import unicodedata

# controls, such as the terminal's and those of writing direction; lone halves; ends of lines
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    r"""One line, with an escape for each sign that is none to be seen.

    >>> printable("a\n\x1b[2J")
    'a\\n\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(
        repr(sign)[1:-1] if unicodedata.category(sign) in _UNSEEN else sign for sign in text
    )


def printable_lines(text: str) -> str:
    """The same for each line of a longer text, the later ones indented.

    So no line break that a sender has put into a key begins what looks like a line of the log.
    """
    return "\n  ".join(printable(line) for line in text.expandtabs(4).split("\n"))
