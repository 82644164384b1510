"""`Spool` as users have it: that of the persistence layer, and what pycromanager's acquisitions need of it."""

from functools import cached_property
from typing import TYPE_CHECKING

from . import persistence
from .persistence import SpoolResult

if TYPE_CHECKING:
    from .driver import ProcessFn


class Spool(persistence.Spool):  # noqa: D101 - as its base
    __doc__ = persistence.Spool.__doc__

    @cached_property
    def process_fn(self) -> "ProcessFn":
        """The function that stores the images of a pycromanager ``Acquisition(image_process_fn=spool.process_fn)``.

        It returns nothing, so pycromanager itself neither saves nor shows them; ``spool.process_fn.pass_on`` stores
        them and gives them back to it. With ``acq.acquire(spool.process_fn.expect(events))``, images that never came
        are in the ledger too.
        """
        from .driver import ProcessFn

        return ProcessFn(self)

    def close(self, *, interrupted: bool = False, end_reason: str = "closed") -> SpoolResult:  # noqa: D102 - as its base
        if "process_fn" in vars(self):
            self.process_fn.finish()
        return super().close(interrupted=interrupted, end_reason=end_reason)

    close.__doc__ = persistence.Spool.close.__doc__
