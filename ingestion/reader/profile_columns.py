"""Holds the file profiles against the contract, as every run does before it reads anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion.errors import UsageError
from ingestion.reader.headers import normalised

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract


def check_columns(profiles: Sequence[FileProfile], contract: Contract) -> None:
    """``UsageError`` where a profile names a column that the contract does not have: its values
    would be lost."""
    known = {column.name for column in contract.columns}
    mistakes = [
        f"profile {profile.name}: {kind} for '{name}'"
        for profile in profiles
        for kind, names in (
            ("an alias", profile.aliases.values()),
            ("a constant", profile.constants),
            ("a formula", profile.derived),
        )
        for name in names
        if name not in known
    ]
    own_names = {normalised(name): name for name in known}
    mistakes += [
        f"profile {profile.name}: an alias of {column} for '{header}', the name of a column itself"
        for profile in profiles
        for header, column in profile.aliases.items()
        if own_names.get(normalised(header), column) != column
    ]
    if mistakes:
        raise UsageError(
            "The file profiles do not match the contract",
            expected="rules for " + ", ".join(column.name for column in contract.columns),
            found="; ".join(mistakes),
            action=f"Correct the profiles, or declare the columns in {contract.path.name}; a column"
            " without a rule goes to additional_column under its own name",
        )
