"""The packages of ingestion stand in layers: each knows only what stands below it."""

from __future__ import annotations

import ast
from pathlib import Path

import ingestion

ROOT = Path(ingestion.__file__).parent
LAYERS = [
    {
        *("data_types", "errors", "logs", "local_paths", "live_line", "plain_data", "printable"),
        *("steps", "workspace"),
    },
    {"config", "sample"},
    {"reader", "s3", "database"},
    {"warehouse"},
    {"publication"},
    {"run"},
    {"commands"},
]


def imports(path: Path) -> set[str]:
    """The parts of ingestion that a module imports, at its top or inside a function."""
    froms = (
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    )
    return {
        name.split(".")[1]
        for node in froms
        for name in (f"{node.module}.{alias.name}" for alias in node.names)
        if name.startswith("ingestion.")
    }


def test_every_part_knows_only_those_below_it() -> None:
    """Risk: the reader of files learns of runs and publications, and nothing can be told apart."""
    height = {part: place for place, layer in enumerate(LAYERS) for part in layer}
    found = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")}
    assert found == {"__init__"} | set(height)
    upward = [
        f"{path.relative_to(ROOT)} imports {part}"
        for path in ROOT.rglob("*.py")
        if path != ROOT / "__init__.py"
        for here in [path.relative_to(ROOT).parts[0].removesuffix(".py")]
        for part in imports(path)
        if part != here and height[part] >= max(height[here], 1)
    ]
    assert upward == []
