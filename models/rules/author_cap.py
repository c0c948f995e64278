"""At most `most` videos of one author in any `within` slots in a row, as long as there are others to show.

A feed is never cut short by this rule.
"""

from __future__ import annotations

from models.rule import Rule

RULE = Rule(name="author_cap", doc=__doc__, kind="cap", columns=("author_id",), parameters={"most": 2, "within": 10})
