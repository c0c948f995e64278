"""What a person can mend: each error names the thing, the place, the choices and the next command."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ReelfeedError(Exception):
    """A fault that a person can mend.

    `what` is one sentence that names the thing, `where` its place (a file, table or partition),
    `choices` what would have been accepted, `next_step` the command or edit that mends it.
    `exit_code` is what the command line ends with.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", choices: Iterable[object] = (), next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.choices = tuple(str(choice) for choice in choices)
        self.next_step = next_step
        lines = [what]
        if where:
            lines.append(f"  where:   {where}")
        if self.choices:
            lines.append(f"  choices: {', '.join(self.choices)}")
        if next_step:
            lines.append(f"  next:    {next_step}")
        super().__init__("\n".join(lines))


class UsageError(ReelfeedError):
    """The caller asked for something that does not exist or was spelled wrongly."""

    exit_code = 2


class ContractError(ReelfeedError):
    """Data broke what its table declares; nothing was published."""


class MissingDataError(ReelfeedError):
    """A partition, file or model that a job needs is not there."""


class NothingToDoError(ReelfeedError):
    """What was asked for has no object as things stand, and nobody has to mend that: Airflow skips the task."""

    exit_code = 99


class LostWorkerError(ReelfeedError):
    """A process or machine of the cluster ended before its work did: the same again may well succeed."""

    exit_code = 70


def unknown(kind: str, name: str, known: Iterable[str], *, where: str = "") -> UsageError:
    """Returns the error for an unknown `name` of a `kind`, with its nearest neighbour."""
    choices = sorted(known)
    near = get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]!r}?" if near else ""
    return UsageError(f"unknown {kind} {name!r}", where=where, choices=choices, next_step=hint)
