"""Watches the writer process of a spool, and closes the recording of a spool that was dropped."""

import contextlib
import logging
import time
import weakref
from typing import TYPE_CHECKING

from ..errors import WriterError
from .hdf5_file.output_path import OutputPath
from .writer_process.client import WriterClient

if TYPE_CHECKING:
    from .spool_lifecycle import SpoolLifecycle

_WATCH_S = 0.1  # how long a writer that died goes unnoticed while nothing is put

_log = logging.getLogger("mmspool")


def watch(life: "weakref.ref[SpoolLifecycle]", client: WriterClient, target: OutputPath) -> None:
    """Attend to the writer process while nobody else does; close the recording of a spool that was dropped."""
    while not client.released:
        time.sleep(_WATCH_S)
        if client.abandoned:
            _close_abandoned(client, target)
            return
        with contextlib.suppress(ValueError):  # released meanwhile
            if client.writer.needs_attention() and (attending := life()) is not None:
                attending.attend()
                del attending
    client.writer.reap()


def abandon(client: WriterClient) -> None:
    """Order the end of a recording that nobody can close any more; called by the garbage collector: no locks."""
    if not client.released and not client.inherited:
        client.request_stop(interrupted=True, end_reason="the spool was dropped without being closed")
        client.abandoned = True


def _close_abandoned(client: WriterClient, target: OutputPath) -> None:
    try:
        if client.begun:
            client.finish()
    except WriterError as exc:
        _log.warning("the recording to %s, whose spool was dropped without being closed, failed: %s", target.path, exc)
    finally:
        client.release(kill=not client.begun)
        target.release(remove=not client.begun)
