"""The lists are exact: what Windows and macOS cannot run are tests that there are, each with a reason."""

import ast

import pytest
from selection import LISTS, reasons
from support.paths import TESTS


@pytest.mark.parametrize(
    ("system", "name"), [(system, name) for system in LISTS for name in reasons(LISTS[system]) if "*" not in name]
)
def test_a_name_on_a_list_is_a_test(system: str, name: str) -> None:
    """Each file, class and function on the list is there, so that nothing is left out by a name that was reused."""
    file, *names = name.split("::")
    scope = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    for part in names:
        found = [node for node in scope if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
        assert found, f"{file} has no {part}"
        scope = found[0].body
    assert reasons(LISTS[system])[name]
