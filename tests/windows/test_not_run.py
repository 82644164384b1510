"""The list is exact: what Windows cannot run are tests that there are, each with a reason."""

import ast

import pytest
from selection import reasons
from support.paths import TESTS


@pytest.mark.parametrize("name", [name for name in reasons() if "*" not in name])
def test_a_name_on_the_list_is_a_test(name: str) -> None:
    """Each file, class and function on the list is there, so that nothing is left out by a name that was reused."""
    file, *names = name.split("::")
    scope = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    for part in names:
        found = [node for node in scope if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
        assert found, f"{file} has no {part}"
        scope = found[0].body
    assert reasons()[name]
