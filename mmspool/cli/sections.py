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
        options = [each for each in self.get_params(context) if isinstance(each, click.Option)]
        rows = {each.name: row for each in options if (row := each.get_help_record(context))}
        titled = {title: [rows.pop(name) for name in names if name in rows] for title, names in self.sections.items()}
        for title, listed in (titled | {"Options": list(rows.values())}).items():
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)
