"""Stopping a camera whose driver may not return."""

import threading

from ..adapters import CoreAdapter
from ..errors import CoreError

STOP_S = 30.0
"""How long a driver may take to stop, beyond two exposures, seconds."""


class CameraStopper:
    """Stops a camera, within a limit: PCO's driver waits for the next external trigger, whatever happens.

    Parameters
    ----------
    core
        Whose camera it is.

    Attributes
    ----------
    stuck
        Whether the driver has not returned: it holds the core, which nobody may call any more.
    """

    def __init__(self, core: CoreAdapter) -> None:
        self._core = core
        self._exposures_s = 2 * core.get_exposure_ms() / 1e3
        self.stuck = False

    def stop(self) -> None:
        """Stop the camera.

        Raises
        ------
        CoreError
            The camera refuses to stop, or its driver has not returned in time.
        """
        if self._core.backend == "java":  # a core in another process, whose calls have limits of their own
            self._core.stop_sequence()
            return
        failures: list[BaseException] = []

        def stop() -> None:
            try:
                self._core.stop_sequence()
            except BaseException as exc:  # noqa: BLE001 - raised below, by the thread that asked
                failures.append(exc)

        limit_s = STOP_S + self._exposures_s
        thread = threading.Thread(target=stop, name="mmspool-stop", daemon=True)
        thread.start()
        thread.join(limit_s)
        self.stuck = thread.is_alive()
        if self.stuck:
            raise CoreError(
                f"the camera's driver has not stopped for {limit_s:.0f} s: PCO's waits for the next external trigger. "
                "Send one, or end this process; until then the core cannot be used"
            )
        if failures:
            raise failures[0]
