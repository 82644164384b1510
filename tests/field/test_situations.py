"""Whatever happens to a recording in the field, its file holds every frame that was put, and says how it ended."""

import sys
from pathlib import Path

import pytest
from field.situation_runner import SITUATIONS, attempt, why_not
from field.situations import Situation

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the situations are made with Linux' means")


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_situation(situation: Situation, tmp_path: Path) -> None:
    """The file has the right state and frames, and verify finds it intact."""
    if reason := why_not(situation):
        pytest.skip(reason)
    attempt(situation, tmp_path)
