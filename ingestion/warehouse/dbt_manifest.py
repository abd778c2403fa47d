"""Reads dbt's manifest: the project's models as the last command has read them.

Source of its shape: dbt's manifest schema, version 12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingestion.errors import PipelineError


def read_manifest(target: Path) -> dict[str, Any]:
    """The manifest that the last command left there."""
    loaded: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    return loaded


def last_manifest(target: Path) -> dict[str, Any] | None:
    """The manifest of an earlier command; None where there is none, or where it was cut short."""
    try:
        return read_manifest(target)
    except (FileNotFoundError, ValueError):  # dbt writes it in place, so a kill may cut it short
        return None


def lasting_models(manifest: Mapping[str, Any]) -> list[str]:
    """The files of the incremental models, whose rows outlast a build, and of all models that these
    are made from; paths in the project."""
    nodes = manifest["nodes"]
    found: set[str] = set()
    waiting = [
        name for name, node in nodes.items() if node["config"].get("materialized") == "incremental"
    ]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += nodes[name]["depends_on"].get("nodes", [])  # a seed has macros only
    models = (nodes[name] for name in found if nodes[name]["resource_type"] == "model")
    return sorted(node["original_file_path"] for node in models)


def model_with_role(manifest: Mapping[str, Any], role: str) -> str:
    """The relation, as Spark SQL names it, of the one model with ``meta.pipeline_role: role``."""
    node = _node_with_role(manifest, role)
    return f"{node['schema']}.{node['alias']}"


def table_with_role(manifest: Mapping[str, Any], role: str) -> str:
    """The name under which the one model with ``meta.pipeline_role: role`` is published."""
    return str(_node_with_role(manifest, role)["alias"])


def _node_with_role(manifest: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"].get("meta", {}).get("pipeline_role") == role
    ]
    if len(found) != 1:
        raise PipelineError(
            f"The pipeline needs one model with meta.pipeline_role: {role}",
            found=", ".join(f"{node['schema']}.{node['alias']}" for node in found) or "none",
            action="Mark one model in its YAML",
        )
    return found[0]
