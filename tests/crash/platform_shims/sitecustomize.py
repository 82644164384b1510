"""Take away what other platforms lack, or write little at a time, before any import; for test_platforms.py."""

import fcntl
import os
import pathlib

_pwrite = os.pwrite


def _write_little(descriptor, data, offset):
    return _pwrite(descriptor, data[: int(os.environ["MMSPOOL_TEST_SHORT"])], offset)


def _refuse_direct(descriptor, data, offset):
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
        raise OSError(22, "Invalid argument")
    return _pwrite(descriptor, data, offset)


for _name in filter(None, os.environ.get("MMSPOOL_TEST_WITHOUT", "").split(",")):
    if _name == "long writes":
        os.pwrite = _write_little
    elif _name == "direct writes":
        os.pwrite = _refuse_direct
    else:
        delattr(os, _name)
with pathlib.Path(os.environ["MMSPOOL_TEST_SEEN"]).open("a", encoding="ascii") as _seen:
    _seen.write(f"{os.getpid()} ")
