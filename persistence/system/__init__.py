"""What recording needs of the operating system: files, locks, paths, clocks, and a computer that stays awake."""
