"""The package's surface: public modules say what is public, and nothing private of other libraries is used."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import fluo_kms

SOURCE = Path(fluo_kms.__file__).parent
PUBLIC = ["aio", "django", "files", "otel", "records", "signer", "sqlalchemy", "testing", "verify"]


@pytest.mark.parametrize("name", PUBLIC)
def test_has_every_name_that_a_module_says_is_public(name):
    if name == "django":
        pytest.importorskip("test_columns")  # which configures it
    module = importlib.import_module(f"fluo_kms.{name}")
    assert module.__all__
    assert [each for each in module.__all__ if not hasattr(module, each)] == []
    assert [each for each in module.__all__ if each.startswith("_")] == []


def test_has_no_public_module_beside_these():
    modules = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(each for each in modules if not each.startswith("_")) == PUBLIC


def private_imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("fluo_kms"):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [node.attr] if node.value.id in ("grpc", "aio", "otel", "event") else []
        else:
            continue
        found += [name for name in names if name.startswith("_") and name not in ("__future__", "_typeshed")]
    return found


def test_uses_no_private_name_of_another_library():
    found = {str(path.relative_to(SOURCE)): private_imports(path) for path in SOURCE.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
