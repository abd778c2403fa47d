"""Read the contract of a table from the dbt source YAML that analysts edit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from ingestion.data_types import decimal_digits
from ingestion.errors import UsageError
from ingestion.reader.column_types import UNFIT, type_of
from ingestion.reader.headers import normalised

PLAIN_TYPES = ("int", "bigint", "string", "date", "boolean")
MAX_DECIMAL_DIGITS = 38
COLUMN_META_KEYS = (
    "required",
    "aliases",
    "minimum",
    "maximum",
    "key",
    "personal",
    "judges_sales",
    "written_by",
)


@dataclass(frozen=True)
class ContractColumn:
    """One column that a sender fills; bounds are inclusive and kept as the text of the YAML."""

    name: str
    data_type: str
    required: bool = False
    aliases: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    key: bool = False
    personal: bool = False
    judges_sales: bool = False


@dataclass(frozen=True)
class Contract:
    """The columns of one table in the order of the YAML, and the file that says so."""

    columns: tuple[ContractColumn, ...]
    path: Path


def read_contract(path: Path, table: str = "sales") -> Contract:
    """Return the contract of ``table`` alone, as ``read_contracts`` does."""
    return read_contracts(path, (table,))[table]


def read_contracts(path: Path, tables: Iterable[str] | None = None) -> dict[str, Contract]:
    """Return the contract of each table that the source definition in ``path`` declares, or of
    these ``tables`` alone.

    Columns whose ``config.meta.written_by`` is ``pipeline`` are no part of a sender's file and are
    left out. Raises UsageError, with file and line, for anything that is not a valid contract.
    """
    root = _compose(path)
    wanted = _table_nodes(path, root) if tables is None else tables
    return {table: _read_table(path, root, table) for table in wanted}


def _read_table(path: Path, root: yaml.Node, table: str) -> Contract:
    table_node = _find_table(path, root, table)
    columns_node = _entry(table_node, "columns")
    if columns_node is None:
        raise _mistake(path, table_node, f"table '{table}' declares no columns", "a 'columns' list")
    columns: list[ContractColumn] = []
    names: dict[str, str] = {}
    for node in _items(path, columns_node, "columns"):
        column = _read_column(path, node)
        if column is None:
            continue
        _claim_names(path, node, column, names)
        columns.append(column)
    if not columns:
        raise _mistake(
            path, columns_node, f"table '{table}' has no column that a sender fills", None
        )
    return Contract(columns=tuple(columns), path=path)


def _compose(path: Path) -> yaml.Node:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The contract {path} cannot be read ({error})",
            expected="a dbt source definition in UTF-8",
            action="Restore the file from version control",
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(
            f"{path}, line {line}: this is not valid YAML",
            found=error.problem or "a syntax error",
            action="Fix the line; a value with a colon or a quote must be quoted",
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: this is not valid YAML", found=str(error)) from error
    if root is None:
        raise UsageError(f"{path}, line 1: the file is empty", expected="a dbt source definition")
    return root


def _find_table(path: Path, root: yaml.Node, table: str) -> yaml.Node:
    found = _table_nodes(path, root)
    if table not in found:
        raise _mistake(
            path,
            _sources(path, root),
            f"no table '{table}' among the sources",
            None,
            ", ".join(found) or "none",
        )
    return found[table]


def _table_nodes(path: Path, root: yaml.Node) -> dict[str, yaml.Node]:
    """Return the table nodes of all sources, by name."""
    sources = _sources(path, root)
    found: dict[str, yaml.Node] = {}
    for source in _items(path, sources, "sources"):
        tables = _entry(source, "tables")
        for node in _items(path, tables, "tables") if tables is not None else ():
            found.setdefault(_text(path, _entry(node, "name"), node, "a table's name"), node)
    return found


def _sources(path: Path, root: yaml.Node) -> yaml.Node:
    sources = _entry(root, "sources")
    if sources is None:
        raise _mistake(path, root, "the file declares no 'sources'", "a dbt source definition")
    return sources


def _read_column(path: Path, node: yaml.Node) -> ContractColumn | None:
    name = _text(path, _entry(node, "name"), node, "a column's name")
    meta = _column_meta(path, node, name)
    written_by = meta.pop("written_by", None)
    if written_by is not None:
        if _text(path, written_by, written_by, "'written_by'") != "pipeline":
            raise _mistake(
                path, written_by, f"column '{name}': 'written_by' is unknown", "pipeline"
            )
        return None
    type_node = _entry(node, "data_type")
    data_type = _text(path, type_node, node, f"the data_type of column '{name}'").lower()
    if not _is_known_type(data_type):
        raise _mistake(
            path,
            type_node or node,
            f"column '{name}' has an unknown data_type",
            ", ".join(PLAIN_TYPES) + " or decimal(precision,scale)",
            data_type,
        )
    aliases_node = meta.get("aliases")
    return ContractColumn(
        name=name,
        data_type=re.sub(r"\s+", "", data_type),
        required=_flag(path, meta, "required", name),
        aliases=tuple(
            _text(path, item, item, f"an alias of column '{name}'")
            for item in (_items(path, aliases_node, "aliases") if aliases_node else ())
        ),
        minimum=_bound(path, meta, "minimum", name, data_type),
        maximum=_bound(path, meta, "maximum", name, data_type),
        key=_flag(path, meta, "key", name),
        personal=_flag(path, meta, "personal", name),
        judges_sales=_flag(path, meta, "judges_sales", name),
    )


def _column_meta(path: Path, node: yaml.Node, name: str) -> dict[str, yaml.Node]:
    if _entry(node, "meta") is not None:
        raise _mistake(
            path, _entry(node, "meta"), f"column '{name}' has 'meta'", "'meta' under 'config'"
        )
    config = _entry(node, "config")
    meta = _entry(config, "meta") if config is not None else None
    if meta is None:
        return {}
    if not isinstance(meta, yaml.MappingNode):
        raise _mistake(
            path, meta, f"the meta of column '{name}' is not a mapping", "key: value lines"
        )
    entries: dict[str, yaml.Node] = {}
    for key_node, value in meta.value:
        if key_node.value not in COLUMN_META_KEYS:
            raise _mistake(
                path,
                key_node,
                f"column '{name}' has an unknown meta key",
                ", ".join(COLUMN_META_KEYS),
                str(key_node.value),
            )
        if key_node.value in entries:
            raise _mistake(
                path, key_node, f"column '{name}' has '{key_node.value}' twice", "it once"
            )
        entries[key_node.value] = value
    return entries


def _flag(path: Path, meta: dict[str, yaml.Node], key: str, column: str) -> bool:
    node = meta.get(key)
    if node is None:
        return False
    value = node.value.lower() if isinstance(node, yaml.ScalarNode) else None
    if node.tag != "tag:yaml.org,2002:bool" or value not in ("true", "false"):
        found = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        raise _mistake(
            path, node, f"column '{column}': '{key}' is not a boolean", "true or false", found
        )
    return bool(value == "true")


def _bound(
    path: Path, meta: dict[str, yaml.Node], key: str, column: str, data_type: str
) -> str | None:
    node = meta.get(key)
    if node is None:
        return None
    text = _text(path, node, node, f"'{key}' of column '{column}'")
    if data_type in ("string", "boolean"):
        raise _mistake(
            path, node, f"column '{column}' is a {data_type} and has '{key}'", "no bound", text
        )
    type_ = type_of(data_type)
    try:
        type_.convert(text)
    except UNFIT as error:  # Spark would make null of it, and compare nothing with that
        raise _mistake(
            path, node, f"column '{column}': '{key}' is not usable", type_.expected, text
        ) from error
    return text


def _claim_names(
    path: Path, node: yaml.Node, column: ContractColumn, names: dict[str, str]
) -> None:
    for kind, text in (("name", column.name), *(("alias", alias) for alias in column.aliases)):
        taken_by = names.get(normalised(text))
        if taken_by is not None:
            raise _mistake(
                path,
                node,
                f"the {kind} '{text}' of column '{column.name}' already refers to '{taken_by}'",
                "every name and alias once, ignoring case, spaces, hyphens and underscores",
            )
        names[normalised(text)] = column.name


def _is_known_type(data_type: str) -> bool:
    digits, scale = decimal_digits(data_type)
    return data_type in PLAIN_TYPES or (1 <= digits <= MAX_DECIMAL_DIGITS and scale <= digits)


def _entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if key_node.value == key and value.tag != "tag:yaml.org,2002:null":
                return value  # type: ignore[no-any-return]
    return None


def _items(path: Path, node: yaml.Node, what: str) -> Iterator[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _mistake(path, node, f"'{what}' is not a list", "a list, each item after a dash")
    yield from node.value


def _text(path: Path, node: yaml.Node | None, parent: yaml.Node, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise _mistake(path, node or parent, f"{what} is missing or not text", "text")
    return str(node.value).strip()


def _mistake(
    path: Path, node: yaml.Node | None, what: str, expected: str | None, found: str | None = None
) -> UsageError:
    line = node.start_mark.line + 1 if node is not None and node.start_mark else 1
    return UsageError(
        f"{path}, line {line}: {what}",
        expected=expected,
        found=found,
        action="Correct the source definition and run again",
    )
