"""Record the camera of a microscope while its focus drive moves.

One of these says which microscope::

    python record_microscope.py --demo                    a real Micro-Manager core with its demo devices
    python record_microscope.py --connect                 a Micro-Manager that runs (Tools > Options > Run server)
    python record_microscope.py --headless FOLDER CONFIG  your microscope, without Micro-Manager's windows
    python record_microscope.py --mock                    nothing real at all

The file is ``focus_series.h5``, unless ``--file`` names another.
"""

import argparse

import pycromanager

import mmspool
from mmspool import Camera, MockCore, Roi, RunningRecording

EXPOSURE_MS = 5
STEP_UM = 0.5
STEPS = 5
FRAMES_A_STEP = 20
UNDER_WAY = 2  # frames that may still have been exposed while the drive moved


class MockMicroscope(MockCore):
    """The simulated core has a camera only: a few lines give it a focus drive as well."""

    z_um = 0.0

    def get_focus_device(self) -> str:
        """Return the drive's label."""
        return "Z"

    def get_position(self) -> float:
        """Return where the drive is."""
        return self.z_um

    def set_position(self, z_um: float) -> None:
        """Be there at once."""
        self.z_um = z_um

    def wait_for_device(self, label: str) -> None:
        """Return: it is there."""
        assert label == "Z"


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Record the camera while the focus drive moves.")
    parser.add_argument("--file", default="focus_series.h5", help="the file to make")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--connect", action="store_true", help="a Micro-Manager that runs")
    which.add_argument("--headless", nargs=2, metavar=("FOLDER", "CONFIG"), help="Micro-Manager's folder and a .cfg")
    which.add_argument("--demo", action="store_true", help="Micro-Manager's demo devices")
    which.add_argument("--mock", action="store_true", help="a simulated core")
    return parser.parse_args()


def get_core(choice: argparse.Namespace) -> object:
    """Return pycromanager's core, as any script has it: it moves the stages, mmspool uses its camera."""
    if choice.mock:
        return MockMicroscope(width=512, height=512)
    if choice.demo:
        import mm_test_adapters  # pip install ".[demo]", in a clone of mmspool

        choice.headless = str(mm_test_adapters.device_adapter_path()), "MMConfig_demo.cfg"
    if choice.headless:
        folder, config = choice.headless
        pycromanager.start_headless(folder, config, python_backend=True)
    return pycromanager.Core()


def wait_for_frames(recording: RunningRecording, count: int) -> None:
    """Return when so many more frames have come, or none will come any more."""
    enough = recording.stats.frames_received + count
    while recording.running and recording.stats.frames_received < enough:
        recording.join(0.01)


def main() -> None:
    """Record a focus series: the camera runs all the time, the drive goes from step to step."""
    choice = read_arguments()
    core = get_core(choice)
    camera = Camera(core)

    # Settings are checked, and read back: cameras round what they are given.
    camera.clear_roi()
    height, width = camera.sensor_size()
    camera.roi = Roi(x=width // 4, y=height // 4, width=width // 2, height=height // 2)
    camera.exposure_ms = EXPOSURE_MS
    print(f"{camera.label}: {camera.roi}, {camera.exposure_ms:g} ms")

    # The recording runs by itself. If anything in the block fails, it is stopped and its file closed.
    bottom_um = core.get_position()
    series = []  # of (position, first frame, one past the last frame)
    with camera.start_recording(choice.file, metadata={"step_um": STEP_UM}) as recording:
        for step in range(STEPS):
            z_um = bottom_um + step * STEP_UM
            core.set_position(z_um)
            core.wait_for_device(core.get_focus_device())
            first = recording.stats.frames_received + UNDER_WAY
            wait_for_frames(recording, UNDER_WAY + FRAMES_A_STEP)
            series.append((z_um, first, recording.stats.frames_received))
        recording.stop()
        result = recording.wait()
    core.set_position(bottom_um)

    print(f"{result.frames_written} frames in {result.path}, {result.state}: {result.end_reason}")
    print(f"lost: {result.frames_lost} {list(result.losses)}")

    with mmspool.open(choice.file) as run:
        for z_um, first, stop in series:
            stack = run[first:stop]  # (T, Y, X), read from the disk now
            print(f"z = {z_um:4.1f} um: frames {first} to {stop - 1}, mean {stack.mean():.1f}")


if __name__ == "__main__":
    main()
