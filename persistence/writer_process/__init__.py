"""The writer process: starting it, talking to it, and what it does."""
