"""The HDF5 file of one recording: structure, chunk offsets, journal; it knows nothing of rings and processes."""
