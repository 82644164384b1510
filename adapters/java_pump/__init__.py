"""The frame pump: a script inside Micro-Manager's Java process that copies frames into memory shared with Python.

The ZMQ bridge carries 40 to 90 full frames a second; the pump carries hundreds, and no pixel and no call per frame goes
through the bridge. ``docs/decisions/0025`` says why it is made of text.
"""

from .pump import FramePump

__all__ = ["FramePump"]
