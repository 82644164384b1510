"""Spools, their processes and their files agree with a model, whatever happens in whatever order."""

from stateful.spool_machine import run
from support.depth import deep

EXAMPLES = deep(8, 300)


def test_spools_agree_with_model() -> None:
    """Any sequence of puts, losses, stalls, kills, looks and closes leaves exactly what the model has."""
    run(EXAMPLES)
