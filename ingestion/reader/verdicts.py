"""What the reader of one file says about it: accepted or set aside, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.errors import PipelineError


@dataclass(frozen=True)
class Reason:
    """Why a whole file is set aside: a stable code and a sentence that a sender can act on."""

    code: str
    message: str


@dataclass(frozen=True)
class BadRow:
    """A row set aside: the line where it starts, why, and its text with personal values masked."""

    line_number: int
    reason: str
    text: str


@dataclass(frozen=True)
class FileReport:
    """The verdict on one file.

    ``rows_read`` counts records after the header (a blank line is none), ``rows_faulty`` those
    among them that could not be read as a row. ``content_sha256`` is over the decompressed bytes
    and what the file's profile has made of them; where it has made nothing else, over the bytes
    alone. ``hints`` are remarks that set nothing aside.
    """

    accepted: bool
    reasons: tuple[Reason, ...]
    rows_read: int
    rows_faulty: int
    content_sha256: str
    first_bad_rows: tuple[BadRow, ...]
    hints: tuple[str, ...]


class FileSetAside(PipelineError):
    """The content of a file cannot be trusted; carries every reason."""

    def __init__(self, *reasons: Reason) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reason.message for reason in reasons))
