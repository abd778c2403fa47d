"""Stream the content of a downloaded file: decompressed, hashed, and decoded to UTF-8 in blocks."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.reader.verdicts import FileSetAside, Reason

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK_BYTES = 256 * 1024
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
BYTE_ORDER_MARK = "\ufeff"
ESCAPED_BYTES = 0xDC00
_ESCAPED = re.compile("([\udc00-\udcff]+)")


def read_chunks(path: Path, content_hash: _Hash, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the file's content in blocks of ``chunk_bytes`` (the last one shorter), each after it
    was added to ``content_hash``.

    gzip is seen by its first bytes, not by the name, and decompressed, several members in a row
    too. Raises FileSetAside where it is damaged or cut off.
    """
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
        file.seek(0)
        pieces = iter(lambda: file.read(chunk_bytes), b"")
        for chunk in _inflate(pieces, chunk_bytes) if is_gzip else pieces:
            content_hash.update(chunk)
            yield chunk


def _inflate(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(GZIP_WINDOW)
    gathered = bytearray()
    for piece in pieces:
        data = piece
        while data:
            if inflater.eof:
                if not data.strip(b"\0"):
                    break
                inflater = zlib.decompressobj(GZIP_WINDOW)
            try:
                gathered += inflater.decompress(data, chunk_bytes - len(gathered))
            except zlib.error as error:
                raise _damaged_gzip(str(error)) from error
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if len(gathered) >= chunk_bytes:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)
    if not inflater.eof:
        raise _damaged_gzip("the compressed data ends too early")


def _damaged_gzip(found: str) -> FileSetAside:
    return FileSetAside(
        Reason(
            "not_csv",
            "the file is damaged gzip, not a CSV file. Expected: a complete gzip file."
            f" Found: {found}. Send it again.",
        )
    )


@cache
def is_utf8(encoding: str) -> bool:
    """Say whether ``encoding`` is UTF-8 or a part of it, so that its bytes need no decoding."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def decode_chunks(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield ``chunks`` as UTF-8 without the byte order mark that may stand first.

    Bytes that are wrong in ``encoding`` come out as bytes that are wrong in UTF-8, so that the rows
    they stand in can be told; ``shown_text`` gives them back.
    """
    if is_utf8(encoding):
        for number, chunk in enumerate(chunks):
            yield chunk.removeprefix(codecs.BOM_UTF8) if number == 0 else chunk
        return
    codecs.register_error("retail_escape", _escape_bytes)
    decoder = codecs.getincrementaldecoder(encoding)("retail_escape")
    is_first = True
    for chunk, is_last in _with_end(chunks):
        text = decoder.decode(chunk, is_last)
        if is_first and text:
            text, is_first = text.removeprefix(BYTE_ORDER_MARK), False
        if text:
            yield text.encode("utf-8", "surrogatepass")


def encode_chunks(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo ``decode_chunks``, but for the byte order mark: wrong bytes are what they were.

    Each chunk is of whole characters. Raises UnicodeEncodeError where ``encoding`` does not have
    one.
    """
    if is_utf8(encoding):
        yield from chunks
        return
    encode = codecs.getincrementalencoder(encoding)().encode
    for chunk in chunks:
        parts = _ESCAPED.split(chunk.decode("utf-8", "surrogatepass"))  # right and wrong in turn
        yield b"".join(
            bytes(ord(letter) - ESCAPED_BYTES for letter in part) if place % 2 else encode(part)
            for place, part in enumerate(parts)
        )


def shown_text(record: bytes, encoding: str) -> str:
    r"""Return a record's text; a byte that is wrong in ``encoding`` shows as \xNN."""
    if is_utf8(encoding):
        return record.decode("utf-8", "backslashreplace")
    return "".join(
        f"\\x{ord(letter) - ESCAPED_BYTES:02x}" if 0xDC00 <= ord(letter) <= 0xDCFF else letter
        for letter in record.decode("utf-8", "surrogatepass")
    )


def _escape_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(chr(ESCAPED_BYTES + byte) for byte in wrong), error.end


def _with_end(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks:
        yield chunk, False
    yield b"", True
