"""Whether a camera can be recorded on a machine: measured, then judged."""
