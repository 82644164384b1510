"""Stopping a camera whose driver may not return."""

import threading

from ..adapters import CoreAdapter

STOP_S = 30.0
"""How long a driver may take to stop, beyond two exposures, seconds."""


def stop_within(core: CoreAdapter, limit_s: float) -> bool:
    """Stop the camera; False if its driver has not returned by then, and holds the core.

    PCO's driver waits for the next external trigger, whatever happens. A core in another process has limits of its own.

    Raises
    ------
    CoreError
        The camera refuses to stop.
    """
    if core.backend == "java":
        core.stop_sequence()
        return True
    failures: list[BaseException] = []

    def stop() -> None:
        try:
            core.stop_sequence()
        except BaseException as exc:  # noqa: BLE001 - raised below, by the thread that asked
            failures.append(exc)

    thread = threading.Thread(target=stop, name="mmspool-stop", daemon=True)
    thread.start()
    thread.join(limit_s)
    if failures:
        raise failures[0]
    return not thread.is_alive()
