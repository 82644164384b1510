"""Tests that only Windows can run, by the name of their modules: elsewhere they are not collected."""

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_here_*.py"]
