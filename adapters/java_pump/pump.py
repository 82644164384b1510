"""The Python side of the frame pump: starts it, takes the frames it has copied, and notices when it has died."""

import os
import re
import threading
import time
import weakref
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy.typing as npt

from ...errors import CoreError
from .mapped_file import HEADER_BYTES, MESSAGE_OFFSET, RECORD_BYTES, TAGS_OFFSET, Field, Layout, MappedFile, State

_CLIENT_LIMIT_S = 20.0  # Java gives a silent client up: generous, since long calls may hold Python's interpreter lock
_BEAT_S = 1.0
_SERVER_LIMIT_S = 60.0  # Python gives a silent pump up: a suspended Micro-Manager may go on
_CLOSING_S = 5.0
_FENCE = threading.Lock()
_BATCH = 64  # frames that Java takes between two looks at the sequence's state

_DTYPES = {1: "u1", 2: "u2", 4: "f4"}
# A serialized tag of one value: kind, name, device ("_": none), read-only, value. A value's further lines are skipped.
_TAG = re.compile(r"^s\n([^\n]*)\n([^\n]*)\n[01]\n([^\n]*)\n", re.MULTILINE)


class FramePump:
    """Frames of one sequence, copied out of the core inside its Java process.

    Parameters
    ----------
    core
        The core's object on the bridge.
    frame_bytes
        Size of the camera's frames, bytes.
    bridge_failure
        Returns why the bridge has been given up, "" as long as it has not.

    Attributes
    ----------
    dead
        Whether it has raised because no frame will come any more.

    Raises
    ------
    CoreError
        The pump is unavailable here; the message says why. Nothing was started and nothing is left behind.
    """

    def __init__(self, core: Any, frame_bytes: int, bridge_failure: Callable[[], str]) -> None:
        self._bridge_failure = bridge_failure
        try:
            self._file = MappedFile(Layout.for_frames(frame_bytes))
        except (OSError, ValueError) as exc:
            raise CoreError(f"no memory can be shared with Java: {exc}") from exc
        try:
            self._interpreter = core._bridge._construct_java_object("bsh.Interpreter")
            self._interpreter.set("core", core)
            self._interpreter.set("PATH", os.fspath(self._file.path))
            self._interpreter.eval(self._script())
            self._run("open();")
        except BaseException as exc:
            self._file.close()
            if not isinstance(exc, Exception):
                raise
            raise CoreError(_first_line(exc)) from exc
        self._file.remove_name()
        self._header = self._file.header
        self._taken = 0
        self.dead = False
        self._last_beat = (-1, 0.0)
        self._stop_beating = threading.Event()

    def launch(self, frames: int) -> None:
        """Start the camera and then the pump; `close` it if that fails.

        Raises
        ------
        CoreError
            The camera does not start, or another client uses it; neither camera nor pump has been started.
        """
        self._last_beat = (-1, time.monotonic())
        self._header[Field.RUNNING] = 1  # until the pump has looked for itself
        self._beating = threading.Thread(
            target=_beat, args=(self._file, self._stop_beating), name="mmspool-pump-beat", daemon=True
        )
        self._beating.start()
        weakref.finalize(self, self._stop_beating.set)
        try:
            self._run(f"launch({frames});")
        except CoreError as exc:
            self._header[Field.STATE] = State.STOPPED
            try:
                self._run("close();")  # as the pump's thread does at its end
            except Exception as closing:  # noqa: BLE001 - it must not hide why nothing was started
                exc.add_note(f"the memory could not be unmapped in Java either: {closing}")
            raise

    @property
    def done(self) -> bool:
        """Whether the sequence is over and all its frames were taken."""
        return self._header[Field.STATE] == State.ENDED and not self._unread

    def is_running(self) -> bool:
        """Return whether the camera goes on; ask this before `remaining`."""
        self._raise_if_dead()
        return self._header[Field.STATE] == State.PUMPING and bool(self._header[Field.RUNNING])

    def is_overflowed(self) -> bool:
        """Return whether the core's buffer overflowed."""
        return bool(self._header[Field.OVERFLOWED])

    def remaining(self) -> int:
        """Return how many frames wait, in the core's buffer and here; in doubt one too many."""
        self._raise_if_dead()
        ended = self._header[Field.STATE] != State.PUMPING
        waiting = 0 if ended else self._header[Field.WAITING]  # before the unread: a frame on its way counts twice
        return waiting + self._unread

    def pop(self) -> tuple[npt.NDArray[Any], dict[str, str]] | None:
        """Return the oldest frame, flat, and its tags; None when there is none.

        The pixels lie in the memory shared with Java: they are valid until the next pop.

        Raises
        ------
        CoreError
            The frame is larger than those that the sequence began with, and is lost; or the pump has died.
        """
        _order_memory()  # the frame has been read before Java may overwrite it
        self._header[Field.CONSUMED] = self._taken
        if not self._unread:
            self._raise_if_dead()
            return None
        _order_memory()  # the frame is read after the counter that publishes it
        offset = self._file.layout.record_offset(self._taken)
        text_bytes, pixel_bytes, component_bytes = self._file.array("i8", 3, offset).tolist()
        self._taken += 1
        if pixel_bytes > self._file.layout.pixel_bytes:
            raise CoreError(
                f"a frame of {pixel_bytes:,} bytes arrived where there is room for {self._file.layout.pixel_bytes:,}: "
                "the camera's settings were changed during the sequence, and the frame is lost: change them between "
                "recordings"
            )
        text = self._file.text(text_bytes, offset + TAGS_OFFSET)
        tags = {name if device == "_" else f"{device}-{name}": value for name, device, value in _TAG.findall(text)}
        count = pixel_bytes // component_bytes
        return self._file.array(_DTYPES[component_bytes], count, offset + RECORD_BYTES), tags

    def close(self) -> None:
        """End the pump and close the file; frames that were not taken are dropped. The last call of all."""
        self._header[Field.STOP] = 1
        limit = time.monotonic() + _CLOSING_S
        while self._header[Field.STATE] == State.PUMPING and time.monotonic() < limit and not self._bridge_failure():
            time.sleep(0.001)
        self._stop_beating.set()
        self._beating.join()
        self._file.close()

    @property
    def _unread(self) -> int:
        return self._header[Field.PUBLISHED] - self._taken

    def _raise_if_dead(self) -> None:
        """Raise if no frame will come any more, although the sequence has not ended; not before all were taken."""
        if self._unread:
            return
        state = self._header[Field.STATE]
        failure = self._why_silent() if state == State.PUMPING else self._why_ended(state)
        if failure and not self._unread:  # the state is written after the last frame
            self.dead = True
            raise CoreError(failure)

    def _why_silent(self) -> str:
        beat, now = self._header[Field.BEAT], time.monotonic()
        if failure := self._bridge_failure():
            return failure
        if beat != self._last_beat[0]:
            self._last_beat = beat, now
        elif now - self._last_beat[1] > _SERVER_LIMIT_S:
            return (
                f"the frame pump in Micro-Manager gave no sign of life for {_SERVER_LIMIT_S:g} s: Micro-Manager hangs "
                "or is suspended, or the pump died; restart it, and see what it says on its console"
            )
        return ""

    def _why_ended(self, state: int) -> str:
        if state == State.FAILED:
            reason = self._file.text(HEADER_BYTES - MESSAGE_OFFSET, MESSAGE_OFFSET).rstrip("\0")
            return f"Micro-Manager could not hand over a frame, and stopped the camera: {reason}"
        if state == State.ORPHANED:
            return (
                f"this process gave no sign of life for {_CLIENT_LIMIT_S:g} s, so Micro-Manager stopped the camera: "
                "record again"
            )
        if state == State.STOPPED:
            return "another client of this Micro-Manager has taken over the camera: close that first"
        return ""

    def _run(self, code: str) -> None:
        """Run a line of script; an error of any kind in it is a `CoreError`."""
        answer = self._interpreter.eval(f'attempt("{code}");')
        if answer:
            raise CoreError(str(answer).removeprefix("!"))

    def _script(self) -> str:
        """Return the pump's text, with what it has to know of this process and of the file in front."""
        layout, (high, low) = self._file.layout, self._file.key_numbers
        numbers = {field.name: int(field) for field in Field} | {state.name: int(state) for state in State}
        numbers |= {
            "HEADER": HEADER_BYTES,
            "MESSAGE": MESSAGE_OFFSET,
            "RECORD": RECORD_BYTES,
            "TAGS": TAGS_OFFSET,
            "SLOTS": layout.slots,
            "PIXELS": layout.pixel_bytes,
            "BATCH": _BATCH,
        }
        longs = {
            "SIZE": layout.size,
            "HIGH": high,
            "LOW": low,
            "CLIENT_LIMIT_NS": int(_CLIENT_LIMIT_S * 1e9),
            "SILENCE_NS": int(3 * _BEAT_S * 1e9),
        }
        constants = [f"int {name} = {value};" for name, value in numbers.items()]
        # A literal of the lowest long is none: it would be the negative of a number that is too large.
        constants += [f'long {name} = Long.parseLong("{value}");' for name, value in longs.items()]
        constants.append(f'String KEY = "{self._file.key.hex()}";')
        return "\n".join([*constants, files(__package__).joinpath("pump.bsh").read_text("ascii")])


def _beat(file: MappedFile, stop: threading.Event) -> None:
    """Show Java once a second that this process lives; the thread holds the file, not the pump."""
    while not stop.wait(_BEAT_S):
        file.header[Field.CLIENT_BEAT] += 1


def _order_memory() -> None:
    """Keep what comes before in front of what comes after, for processors that reorder reads and writes, such as ARM.

    What precedes a release stays before it, and what follows an acquire stays behind it: so two of each in turn.
    """
    for _ in range(2):
        with _FENCE:
            pass


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
