"""What can be measured."""

from . import (
    busy,
    chunks,
    compression,
    following,
    growth,
    idle,
    java_server,
    latency,
    memory,
    over_time,
    pymmcore_plus,
    reading,
    real_core,
    sequence_tester,
    startup,
    store,
    two_cameras,
    two_spools,
)
from .base import Case, Figure, Record, Setting, Target

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *store.CASES,
        over_time.CASE,
        latency.CASE,
        real_core.CASE,
        sequence_tester.CASE,
        *java_server.CASES,
        pymmcore_plus.CASE,
        growth.CASE,
        chunks.CASE,
        memory.CASE,
        idle.CASE,
        startup.CASE,
        reading.CASE,
        following.CASE,
        compression.CASE,
        busy.CASE,
        two_spools.CASE,
        two_cameras.CASE,
    )
}

__all__ = ["CASES", "Case", "Figure", "Record", "Setting", "Target"]
