"""The ring in shared memory between the producer and the writer process; it knows nothing of files."""
