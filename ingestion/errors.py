"""The one family of errors a user may meet: what, expected, found, and what to do."""

from __future__ import annotations


class PipelineError(Exception):
    """A failure with one readable cause.

    ``what`` says what went wrong; ``expected``, ``found`` and ``action`` complete the sentence a
    user needs to mend it. ``exit_code`` is what the command line ends with.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        action: str | None = None,
    ) -> None:
        self.what = what
        self.expected = expected
        self.found = found
        self.action = action
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        if self.expected:
            parts.append(f"Expected: {self.expected}.")
        if self.found:
            parts.append(f"Found: {self.found}.")
        if self.action:
            parts.append(self.action.rstrip(".") + ".")
        return " ".join(parts)


class UsageError(PipelineError, ValueError):
    """Wrong usage or settings, seen before anything is touched.

    A ValueError too, so that a validator of pydantic may raise it.
    """

    exit_code = 2


class BusyError(PipelineError):
    """Another run holds the lock."""

    exit_code = 4


def local_error(error: OSError) -> PipelineError:
    """A failure of the disk, the network or the rights of this machine."""
    return PipelineError(
        f"A local error stopped the command: {error.strerror or type(error).__name__}",
        found=str(error.filename) if error.filename else None,
        action="Fix it and run the command again; it continues where it stopped",
    )
