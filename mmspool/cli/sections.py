"""A command's options under headings, so that its help is read as a document."""

from collections.abc import Mapping, Sequence
from typing import Any

import click


class SectionedCommand(click.Command):
    """Lists options by what they are for.

    Parameters
    ----------
    sections
        Titles, each with the names of its options; an option in none of them is listed last, under "Options".
    """

    def __init__(self, *arguments: Any, sections: Mapping[str, Sequence[str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sections = sections

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options as click does, a list for each section."""
        rows = {each.name: row for each in self.get_params(context) if (row := each.get_help_record(context))}
        for title, names in self.sections.items():
            listed = [rows.pop(name) for name in names if name in rows]
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)
        with formatter.section("Options"):
            formatter.write_dl(list(rows.values()))
