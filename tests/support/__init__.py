"""What tests in several folders share; pytest and `support.paths.environment` put `tests` on the import path."""
