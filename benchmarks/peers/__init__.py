"""Other ways to store frames, tuned as their documentation says; each is optional."""

from . import hdf5, ome, tiff, zarr3
from .base import Frame, Job, NotAvailableError, Peer, Put, Reader, load, sync
from .direct import DirectFile, block_bytes, copier
from .plain import FAST, PAGE_CACHE, SPOOL

PEERS = {peer.name: peer for peer in (PAGE_CACHE, *hdf5.PEERS, *tiff.PEERS, *zarr3.PEERS, *ome.PEERS)}
"""Everything that mmspool is measured beside, without the limit."""

__all__ = [
    "FAST",
    "PEERS",
    "SPOOL",
    "DirectFile",
    "Frame",
    "Job",
    "NotAvailableError",
    "Peer",
    "Put",
    "Reader",
    "block_bytes",
    "copier",
    "load",
    "sync",
]
