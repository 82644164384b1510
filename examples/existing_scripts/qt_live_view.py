"""A window with a live view of a run that is being recorded; nothing in the window's thread waits for the disk."""

import useq
from pymmcore_plus import CMMCorePlus
from PyQt6 import QtCore, QtGui, QtWidgets

from mmspool import spool_mda

app = QtWidgets.QApplication([])
(label := QtWidgets.QLabel("waiting for the first frame")).show()
core = CMMCorePlus.instance()
core.loadSystemConfiguration()


def paint() -> None:
    """Show the newest frame, ten times a second and in the window's thread, whatever the camera's rate."""
    if spooling.view and (frame := spooling.view.newest()) is not None:
        pixels, size = (frame >> 8).astype("u1"), frame.shape[::-1]
        image = QtGui.QImage(pixels.tobytes(), *size, size[0], QtGui.QImage.Format.Format_Grayscale8)
        label.setPixmap(QtGui.QPixmap.fromImage(image))


spooling = spool_mda(core, "run.h5").start()  # `start` in place of `with`: a window must not wait
core.mda.events.sequenceFinished.connect(app.quit)
timer = QtCore.QTimer(interval=100, timeout=paint)
timer.start()
core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 100}))
app.exec()
