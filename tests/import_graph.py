"""Draw who imports whom in the installed mmspool, as Mermaid: ``python tests/import_graph.py``; fails on a circle.

A drawing for mmspool, and one for each of its packages that has packages of its own. A package counts as one. Imports
that only type checkers see are left out.
"""

# ruff: noqa: T201 - it is a command

import graphlib
import sys

import grimp


def edges(graph: grimp.ImportGraph, parent: str) -> dict[str, set[str]]:
    """Return which children of a package each of its children imports, packages as one."""
    children = sorted(graph.find_children(parent))
    return {
        importer: {
            imported
            for imported in children
            if imported != importer
            and graph.direct_import_exists(importer=importer, imported=imported, as_packages=True)
        }
        for importer in children
    }


def main() -> int:
    """Print the drawings; 1 if there is a circle."""
    graph = grimp.build_graph("mmspool", exclude_type_checking_imports=True, cache_dir=None)
    circles = 0
    for parent in sorted(graph.modules):
        if not any(graph.find_children(child) for child in graph.find_children(parent)):
            continue
        imports = edges(graph, parent)
        print(f"%% {parent}\nflowchart TD")
        for importer, imported in imports.items():
            short = importer.removeprefix(f"{parent}.")
            print(f"    {short}")
            for name in sorted(imported):
                print(f"    {short} --> {name.removeprefix(f'{parent}.')}")
        try:
            graphlib.TopologicalSorter(imports).prepare()
        except graphlib.CycleError as exc:
            circles += 1
            print(f"{parent}: a circle of imports: {' -> '.join(exc.args[1])}", file=sys.stderr)
    return circles > 0


if __name__ == "__main__":
    sys.exit(main())
