"""At most `most` videos of one first tag in any `within` slots in a row, as long as there are others to show.

Videos without a tag are not counted. A feed is never cut short by this rule.
"""

from __future__ import annotations

from models.rule import Rule

RULE = Rule(name="topic_spread", doc=__doc__, kind="cap", columns=("tag_id",), parameters={"most": 4, "within": 10})
