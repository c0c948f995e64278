"""Where KuaiRand's real rows are, for the end-to-end tests that need them."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from core.recipe import load_recipe
from core.run import Request
from core.settings import ROOT

RELEASE = Path(os.environ.get("REELFEED_KUAIRAND_DIR", ROOT.parent / "shared" / "data" / "kuairand-pure-slice"))
FIRST, LAST = date(2022, 4, 25), date(2022, 5, 4)

needs_kuairand = pytest.mark.skipif(
    not RELEASE.exists(), reason="no KuaiRand files: set REELFEED_KUAIRAND_DIR to the release's folder"
)


def kuairand_request(last: date) -> Request:
    """Returns the request for the days of the slice that end with `last`."""
    return Request(last, FIRST, load_recipe("for_you"), "kuairand", str(RELEASE))
