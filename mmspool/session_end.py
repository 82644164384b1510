"""Logging off and shutting down on Windows, which a program learns of through a window of its own.

Windows sends CTRL_LOGOFF_EVENT and CTRL_SHUTDOWN_EVENT to no process that has loaded user32, as `ctypes` does before
Python 3.15 (https://github.com/python/cpython/issues/85470), and ends such a process without a word if it has no
window. So there is a hidden one, at the top level: windows for messages alone are not asked.
"""

import ctypes
import logging
import sys
import threading
from collections.abc import Callable
from ctypes import wintypes

assert sys.platform == "win32"  # noqa: S101 - for mypy, which otherwise knows nothing of these modules on Linux

TITLE = "mmspool"
_CLOSE, _QUERY_END_SESSION, _END_SESSION = 0x0010, 0x0011, 0x0016  # messages
_CLOSE_PROGRAM, _LOG_OFF = 0x1, 0x80000000
_WINDOW_PROCEDURE = -4  # what to set of a window
_log = logging.getLogger("mmspool")

_Procedure = ctypes.WINFUNCTYPE(wintypes.LPARAM, wintypes.HWND, wintypes.UINT, wintypes.WPARAM, wintypes.LPARAM)
_user = ctypes.WinDLL("user32", use_last_error=True)
_user.CreateWindowExW.restype = wintypes.HWND
_user.CreateWindowExW.argtypes = (
    wintypes.DWORD,
    wintypes.LPCWSTR,
    wintypes.LPCWSTR,
    wintypes.DWORD,
    *[ctypes.c_int] * 4,
    wintypes.HWND,
    wintypes.HMENU,
    wintypes.HINSTANCE,
    wintypes.LPVOID,
)
_user.SetWindowLongPtrW.restype = ctypes.c_void_p
_user.SetWindowLongPtrW.argtypes = (wintypes.HWND, ctypes.c_int, _Procedure)
_user.DefWindowProcW.restype = wintypes.LPARAM
_user.DefWindowProcW.argtypes = (wintypes.HWND, wintypes.UINT, wintypes.WPARAM, wintypes.LPARAM)
_user.GetMessageW.argtypes = (wintypes.LPMSG, wintypes.HWND, wintypes.UINT, wintypes.UINT)
_user.DispatchMessageW.restype = wintypes.LPARAM
_user.DispatchMessageW.argtypes = (wintypes.LPMSG,)
_user.ShutdownBlockReasonCreate.argtypes = (wintypes.HWND, wintypes.LPCWSTR)
_user.ShutdownBlockReasonDestroy.argtypes = (wintypes.HWND,)
_set_shutdown_level = ctypes.windll.kernel32.SetProcessShutdownParameters
_set_shutdown_level.argtypes = (wintypes.DWORD, wintypes.DWORD)


def watch_session_end(on_end: Callable[[str], object], *, level: int, reason_to_wait: str = "") -> None:
    """Call ``on_end`` when the user logs off or Windows shuts down, from now until this process ends.

    Parameters
    ----------
    on_end
        Called with what happens, in a thread. Windows may end the process once it returns, or after 5 s without a
        reason to wait.
    level
        Processes are asked from 0x3FF down to 0x100, each after those above have ended; most are at 0x280.
    reason_to_wait
        A sentence for the user, who alone ends the process then; forced shutdowns and updates do not ask.
    """
    _set_shutdown_level(level, 0)
    threading.Thread(target=_watch, args=(on_end, reason_to_wait), name="mmspool-session-end", daemon=True).start()


def _watch(on_end: Callable[[str], object], reason_to_wait: str) -> None:
    window = _user.CreateWindowExW(0, "STATIC", TITLE, 0, 0, 0, 0, 0, None, None, None, None)
    if not window:  # in a service
        _log.info("no window (error %d): this process learns of no log-off and no shutdown", ctypes.get_last_error())
        return

    def handle(window: int, message: int, ends: int, how: int) -> int:
        if message == _CLOSE or (message == _QUERY_END_SESSION and how & _CLOSE_PROGRAM):
            return 0  # `taskkill`, or an installer that would replace a file in use: both can be refused
        if message == _QUERY_END_SESSION and reason_to_wait:
            _user.ShutdownBlockReasonCreate(window, reason_to_wait)
        elif message == _END_SESSION and ends:
            on_end("user logged off" if how & _LOG_OFF else "computer shut down")
        elif message == _END_SESSION:  # another program or the user prevented it
            _user.ShutdownBlockReasonDestroy(window)
        return int(_user.DefWindowProcW(window, message, ends, how))

    procedure = _Procedure(handle)  # referenced as long as the window
    _user.SetWindowLongPtrW(window, _WINDOW_PROCEDURE, procedure)
    message = wintypes.MSG()
    while _user.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
        _user.DispatchMessageW(ctypes.byref(message))
