"""TOML into frozen dataclasses: an unknown key, a missing key or a wrong type is one error that names them all."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from core.errors import UsageError

T = TypeVar("T")


def load(kind: type[T], path: Path) -> T:
    """Returns the dataclass `kind` filled from the TOML file at `path`; raises UsageError naming every fault."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        choices = sorted(file.stem for file in path.parent.glob("*.toml"))
        raise UsageError(f"no configuration {path.stem!r}", where=str(path), choices=choices) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path)) from None
    return parse(kind, content, where=str(path))


def parse(kind: type[T], content: Mapping[str, Any], *, where: str) -> T:
    """Returns `kind` built from `content`; raises UsageError naming every unknown, missing or mistyped key."""
    faults: list[str] = []
    value = _build(kind, content, "", faults)
    if faults:
        raise UsageError("; ".join(faults), where=where, next_step="edit that file")
    return typing.cast(T, value)


def _build(kind: Any, content: Any, at: str, faults: list[str]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, content, at, faults)
    if origin is tuple and isinstance(content, list):
        return tuple(_build(arguments[0], item, f"{at}[{i}]", faults) for i, item in enumerate(content))
    if origin is dict and isinstance(content, dict):
        return {key: _build(arguments[1], item, f"{at}.{key}", faults) for key, item in content.items()}
    if kind is float and isinstance(content, int) and not isinstance(content, bool):
        return float(content)
    expected = origin or kind
    if kind is not Any and (not isinstance(content, expected) or (kind is int and isinstance(content, bool))):
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        faults.append(f"{at} must be a {name}, not {content!r}")
    return content


def _build_dataclass(kind: Any, content: Any, at: str, faults: list[str]) -> Any:
    if not isinstance(content, dict):
        faults.append(f"{at or 'the file'} must be a table, not {content!r}")
        return None
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    prefix = f"{at}." if at else ""
    values: dict[str, Any] = {}
    for key, item in content.items():
        if key in fields:
            values[key] = _build(_without_none(hints[key]), item, f"{prefix}{key}", faults)
            continue
        near = get_close_matches(key, fields, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(sorted(fields))})"
        faults.append(f"unknown key {prefix + key!r}{hint}")
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in content and not optional:
            faults.append(f"missing key {prefix + name!r}")
    return None if faults else kind(**values)


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return next(part for part in hint.__args__ if part is not type(None))
    return hint
