"""Recordings as arrays, tables and sets, read while they are written or afterwards."""
