"""Blocks of docs/ that a command writes: what stands between two marks, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

from core.errors import ContractError
from core.settings import ROOT

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"


def write_block(document: str, name: str, text: str) -> str:
    """Puts `text` between the marks `name` of docs/`document`, and returns it; raises ContractError without marks."""
    path: Path = ROOT / "docs" / document
    before, begin, inside = path.read_text("utf-8").partition(BEGIN.format(name))
    _, end, after = inside.partition(END.format(name))
    if not (begin and end):
        raise ContractError(f"no marks of block {name!r}: what was measured is not kept", where=str(path))
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
    return text
