"""How Sphinx builds the site: ``tox -e docs``."""

import mmspool

project = "mmspool"
author = "The mmspool developers"
project_copyright = "The mmspool developers"
release = version = mmspool.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
source_suffix = {".md": "markdown"}
smartquotes = False  # they make one dash of two, and options have two
exclude_patterns = ["_build"]
autosummary_generate = False
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository; tests/look/test_docs.py checks them

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say it

html_theme = "pydata_sphinx_theme"
html_title = "mmspool"
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
html_context = {"default_mode": "auto"}
copybutton_prompt_text = r">>> |\$ |PS> "
copybutton_prompt_is_regexp = True
