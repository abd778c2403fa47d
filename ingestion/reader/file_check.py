"""Check one downloaded sales file and write its rows as bronze Parquet, or say why not."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from heapq import nsmallest
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.profiles import CONTRACT_FORM, constants_for
from ingestion.reader.bronze_file import BronzeFile
from ingestion.reader.bronze_rows import BronzeRows, RowLayout, bronze_schema, read_rows
from ingestion.reader.csv_blocks import BLOCK_BYTES, RecordBlock, record_blocks
from ingestion.reader.csv_quotes import Dialect, plain_value, raw_values
from ingestion.reader.dialects import (
    DATA_VALUE,
    HEAD_BYTES,
    binary_kind,
    explain_header,
    text_kind,
    wrong_encoding,
)
from ingestion.reader.encodings import action_on_header
from ingestion.reader.file_content import (
    CHUNK_BYTES,
    decode_chunks,
    read_chunks,
    shown_text,
)
from ingestion.reader.header_line import HeaderLine, read_header_line
from ingestion.reader.headers import HeaderMatch, match_header
from ingestion.reader.hints import Hint
from ingestion.reader.masking import masked, personal_positions
from ingestion.reader.profile_values import ValueRules, value_rules
from ingestion.reader.text_hints import encoding_hint, note_wrong_texts
from ingestion.reader.value_hints import hint_texts, value_hints
from ingestion.reader.verdicts import BadRow, FileReport, FileSetAside, Reason

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract

SHOWN_BAD_ROWS = 10
HOPELESS_ROWS = 100_000
MOST_TRAILER_VALUES = 2
END_MARK = b"\x1a"


@dataclass
class _Tally:
    """What was seen in a file so far, and what of its profile decides what the bytes mean."""

    rows_read: int = 0
    rows_faulty: int = 0
    rows_short: int = 0
    rows_wrong_bytes: int = 0
    wrong_texts: list[bytes] = field(default_factory=list)
    meaning: dict[str, str] = field(default_factory=dict)
    bad_rows: list[BadRow] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)


def check_file(
    path: Path,
    *,
    key: str,
    file_id: int,
    contract: Contract,
    profile: FileProfile | None,
    destination: Path,
    chunk_bytes: int = BLOCK_BYTES,
) -> FileReport:
    """Read the file at ``path`` strictly and write its rows to ``destination`` if it holds good.

    ``key`` is the object's key below the inbox; about ``chunk_bytes`` (at least 64) are checked at
    once. Whatever the content, the answer is a report; an accepted file has its rows, good and
    faulty, at ``destination`` in one step, and a file set aside leaves nothing there. Raises
    OSError where the disk fails.
    """
    content_hash = hashlib.sha256()
    chunks = read_chunks(path, content_hash, min(chunk_bytes, CHUNK_BYTES))
    tally = _Tally()
    reasons: tuple[Reason, ...] = ()
    try:
        _read_file(chunks, chunk_bytes, key, file_id, contract, profile, destination, tally)
    except FileSetAside as verdict:
        reasons = verdict.reasons
        _read_to_end(chunks)
    if tally.meaning:
        content_hash.update(f"\0{sorted(tally.meaning.items())}".encode())
    return FileReport(
        accepted=not reasons,
        reasons=reasons,
        rows_read=tally.rows_read,
        rows_faulty=tally.rows_faulty,
        content_sha256=content_hash.hexdigest(),
        first_bad_rows=tuple(tally.bad_rows),
        hints=hint_texts(tally.hints, key, profile),
    )


def _read_file(
    chunks: Iterator[bytes],
    block_bytes: int,
    key: str,
    file_id: int,
    contract: Contract,
    profile: FileProfile | None,
    destination: Path,
    tally: _Tally,
) -> None:
    head = next(chunks, b"")
    _check_head(head, key, profile)
    form = profile or CONTRACT_FORM
    dialect = Dialect(form.delimiter.encode(), form.quote.encode())
    text = _without_end_mark(_without_nul(decode_chunks(chain([head], chunks), form.encoding)))
    propose = partial(action_on_header, key, profile)
    header = read_header_line(text, dialect, form.encoding, form.skip_lines, propose)
    layout = _layout(header, dialect, key, file_id, contract, profile)
    match, rules = layout.match, layout.rules
    blocks = record_blocks(
        chain([header.rest], text), dialect, match.fewest_values, header.next_line, block_bytes
    )
    with BronzeFile(destination, bronze_schema(layout.columns)) as file:
        for block in blocks:
            rows = read_rows(block, layout)
            if not tally.rows_read and rows.all_end_open and _last_is_no_text(layout, contract):
                headers = (*header.values, "")
                layout = dataclasses.replace(
                    layout, headers=headers, match=layout.match_again(headers)
                )
                rows = read_rows(block, layout)
            if not tally.rows_read:
                tally.hints += value_hints(rows.table, contract, form)
            _count(block, rows, layout, contract, tally)
            _check_faults(rows, tally)
            _check_last_line(block, rows, layout, contract, tally)
            if rows.table.num_rows:
                file.write(rows.table)
        if not tally.rows_read:
            _check_no_rows(header, match, contract)
        tally.meaning = {f"header of {name}": text for name, text in match.chosen.items()}
        tally.meaning |= _meaning(form, rules) if rules else {}
        file.finish()
    if tally.rows_wrong_bytes and "encoding" not in form.model_fields_set:
        sample = b", ".join(tally.wrong_texts)
        tally.hints.append(encoding_hint(tally.rows_wrong_bytes, tally.rows_read, sample))


def _layout(
    header: HeaderLine,
    dialect: Dialect,
    key: str,
    file_id: int,
    contract: Contract,
    profile: FileProfile | None,
) -> RowLayout:
    """What turns the records below this header into rows."""
    form = profile or CONTRACT_FORM
    constants = constants_for(key, form)
    supplied = {*constants, *form.derived}
    match = _match(header, key, contract, profile, supplied)
    return RowLayout(
        file_id=file_id,
        dialect=dialect,
        encoding=form.encoding,
        headers=header.values,
        columns=tuple(column.name for column in contract.columns),
        match=match,
        match_again=partial(
            match_header, contract=contract, aliases=form.aliases, supplied=supplied
        ),
        rules=value_rules(form, constants, contract, set(match.positions)),
        formula_texts=form.formula_texts,
        compose_letters=form.compose_letters,
    )


def _last_is_no_text(layout: RowLayout, contract: Contract) -> bool:
    """Whether the last column is one that has to be filled, and by no text.

    Behind any other one, an empty value too many may come from a delimiter within a text.
    """
    last = len(layout.headers) - 1
    return any(
        column.required and column.data_type != "string"
        for column in contract.columns
        if layout.match.positions.get(column.name) == last
    )


def _meaning(profile: FileProfile, rules: ValueRules) -> dict[str, str]:
    """What of the profile has made other sales of the same bytes: which store they are of, say, or
    what 03/04 means. A profile that changes nothing in a file leaves it what it was without one;
    headers, currency signs, negatives, formulas of texts and composed letters are not counted, so
    that a file sent again under another name is known after its sender's profile has learned some.
    """
    meaning = {**rules.constants, **{name: formula for name, (formula, _) in rules.derived.items()}}
    if "date" in rules.rewritten:
        meaning["date_format"] = profile.date_format
    if "number" in rules.rewritten and profile.decimal_mark != ".":
        meaning["decimal_mark"] = profile.decimal_mark
    if "whole" in rules.rewritten:
        meaning["whole_numbers"] = "without a fraction of zeros"
    return meaning


def _check_no_rows(header: HeaderLine, match: HeaderMatch, contract: Contract) -> None:
    """A day without sales has a header and no more; tell it from one whose lines have no ends.

    Then all but the first value of a row, which is one with the last name, are names of columns.
    """
    values = (name.strip() for name in match.extras.values())
    data = [value for value in values if DATA_VALUE.fullmatch(value)]
    shapes = {re.sub(r"[0-9]+", "0", value) for value in data}  # sizes or days have one
    needed = sum(column.data_type != "string" for column in contract.columns) - 1
    if len(data) >= max(needed, 1) and len(shapes) > 1:
        raise FileSetAside(
            Reason(
                "no_row",
                f"the header line, {header.line}, contains rows. Expected: names, and a line break"
                f" (LF, CR LF or CR) after them. Found: {len(data)} numbers or dates among"
                f" {len(header.values)} names, and no row below. Send the file with one line for"
                " each sale.",
            )
        )


def _check_head(head: bytes, key: str, profile: FileProfile | None) -> None:
    start = head[:HEAD_BYTES]
    reason = binary_kind(start) or wrong_encoding(start, key, profile)
    if reason is not None:
        raise FileSetAside(reason)


def _match(
    header: HeaderLine,
    key: str,
    contract: Contract,
    profile: FileProfile | None,
    supplied: Collection[str],
) -> HeaderMatch:
    """Match the header, or say in the best words why it has not what the contract wants."""
    aliases = (profile or CONTRACT_FORM).aliases
    match = match_header(header.values, contract, aliases, supplied)
    if any(reason.code == "missing_column" for reason in match.reasons):
        other_kind = text_kind(header.head.encode("utf-8"))
        if other_kind is not None:
            raise FileSetAside(other_kind)
        dialect = explain_header(header, key, contract, profile, supplied)
        if dialect is not None:
            raise FileSetAside(dialect)
    if match.reasons:
        raise FileSetAside(*match.reasons)
    return match


def _count(
    block: RecordBlock,
    rows: BronzeRows,
    layout: RowLayout,
    contract: Contract,
    tally: _Tally,
) -> None:
    tally.rows_read += rows.table.num_rows
    tally.rows_faulty += len(rows.faults)
    tally.rows_short += len(rows.short)
    tally.rows_wrong_bytes += sum(fault.code == "encoding" for fault in rows.faults.values())
    note_wrong_texts(tally.wrong_texts, block, rows, layout, contract)
    positions = layout.match.positions
    personal = personal_positions(
        layout.headers,
        positions.values(),
        {
            positions[column.name]
            for column in contract.columns
            if column.personal and column.name in positions
        },
    )
    for index in nsmallest(SHOWN_BAD_ROWS - len(tally.bad_rows), rows.faults):
        raws = raw_values(block.text(index), layout.dialect)
        values = [shown_text(raw, layout.encoding) for raw in raws]
        text = masked(values, len(layout.headers), personal, layout.dialect.delimiter.decode())
        tally.bad_rows.append(BadRow(int(block.lines[index]), rows.faults[index].detail, text))


def _check_faults(rows: BronzeRows, tally: _Tally) -> None:
    """Stop at a file of which nothing can be read, before it fills the disk with faults."""
    if tally.rows_faulty == tally.rows_read >= HOPELESS_ROWS:
        detail = next(iter(rows.faults.values())).detail
        raise FileSetAside(
            Reason(
                "no_row",
                f"no row can be read. Expected: rows that fit the header. Found: none among the"
                f" first {tally.rows_read:,}; for instance {detail}. Correct the file and send it"
                " again.",
            )
        )


def _check_last_line(
    block: RecordBlock, rows: BronzeRows, layout: RowLayout, contract: Contract, tally: _Tally
) -> None:
    """Tell a file that was cut off from one whose last line is no row: the end of the text is
    then not the end of a line, while what is there of it looks like the rows before."""
    last = block.count - 1
    if not block.ends_unfinished or (last not in rows.faults and last not in rows.short):
        return
    values = raw_values(block.text(last), layout.dialect)
    found = len(values)
    # a trailer that counts the rows proves that they are all there, but where a column of the
    # sender's own may count them too
    may_be_trailer = found <= MOST_TRAILER_VALUES and found - 1 in layout.match.positions.values()
    if may_be_trailer and _is_number(values[-1], tally.rows_read - 1, layout.dialect):
        return
    needed = [
        layout.match.positions[column.name]
        for column in contract.columns
        if column.required and column.name in layout.match.positions
    ]
    # without another row, one that lacks the last columns may be how its sender writes
    rows_whole = tally.rows_read - tally.rows_faulty - tally.rows_short
    is_other_form = not rows_whole and max(needed, default=0) < found
    if (
        found < len(layout.headers)
        and not is_other_form
        and _begins_like_a_row(values, layout, contract)
    ):
        raise FileSetAside(
            Reason(
                "truncated",
                f"the file is truncated: its last line, {block.lines[last]}, stops in the middle."
                f" Expected: {len(layout.headers)} values and a line break. Found: {found} values"
                " and the end of the file. Send the whole file again. If it was whole, and that"
                " line is a trailer below the rows, end it with a line break.",
            )
        )


def _is_number(value: bytes, number: int, dialect: Dialect) -> bool:
    return re.fullmatch(rb"0*%d" % number, plain_value(value, dialect).strip()) is not None


def _begins_like_a_row(values: Sequence[bytes], layout: RowLayout, contract: Contract) -> bool:
    """Whether what stands for whole numbers is such, or the header stands again; the last value may
    be cut off."""
    names = [shown_text(value, layout.encoding) for value in values[:-1]]
    if names and names == list(layout.headers[: len(names)]):
        return True
    whole = {
        layout.match.positions[column.name]: column.required
        for column in contract.columns
        if column.data_type in ("int", "bigint") and column.name in layout.match.positions
    }
    texts = {
        place: plain_value(value, layout.dialect).strip(b'" ')
        for place, value in enumerate(values)
        if place in whole
    }
    required = [text for place, text in texts.items() if whole[place] and place < len(values) - 1]
    if required and not any(required):
        return False  # a line of totals
    return all(re.fullmatch(rb"[+-]?[0-9., ']*", text) for text in texts.values())


def _without_end_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass ``chunks`` on without the mark (Ctrl-Z) that old programs write behind the last line."""
    held = b""
    for chunk in chunks:
        whole = held + chunk
        held = END_MARK if whole.endswith(END_MARK) else b""
        yield whole.removesuffix(END_MARK)


def _without_nul(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass ``chunks`` on; a NUL byte among them says that this is no text."""
    passed = 0
    for chunk in chunks:
        place = chunk.find(b"\0")
        if place >= 0:
            raise FileSetAside(
                Reason(
                    "nul_bytes",
                    f"the file has NUL bytes. Expected: text. Found: the first at byte"
                    f" {passed + place + 1:,}. The file is damaged or not CSV; export it again and"
                    " send that.",
                )
            )
        passed += len(chunk)
        yield chunk


def _read_to_end(chunks: Iterator[bytes]) -> None:
    """Read what is left of a file set aside, so that its hash is that of the whole content."""
    with suppress(FileSetAside):
        for _ in chunks:
            pass
