"""Pictures of a recording in the tools that open it, made anew for each build of the site.

``python docs/screenshots.py FOLDER`` writes the pictures and ``gallery.md``, which shows those that could be made: silx
needs ``silx[full]``, h5web needs ``jupyterlab-h5web[full]`` and Chromium, the live window needs ``mmspool[demo,view]``,
Xvfb and libxcb-cursor0.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mmspool import DetectorInfo, Spool
from mmspool.reporting import report

_DRAWN_S = 4.0  # a canvas does not say when it is drawn
_SILX = """
import os, sys, time
from silx.gui import qt
app = qt.QApplication([])
from silx.app.view.Viewer import Viewer
from silx.gui.plot import PlotWidget
viewer = Viewer()
viewer.resize(1100, 700)
viewer.show()
viewer.appendFile(sys.argv[1])
limit = time.monotonic() + 60
while time.monotonic() < limit:
    app.processEvents()
    time.sleep(0.02)
    if any(plot.isVisible() and plot.getActiveImage() for plot in viewer.findChildren(PlotWidget)):
        limit = min(limit, time.monotonic() + 1)
viewer.grab().save(sys.argv[2])
os._exit(0)
"""


_LIVE = """
import sys, time
from qtpy.QtWidgets import QApplication
from mmspool import Camera
from mmspool.live_window import LiveWindow
with Camera.demo(width=512, height=512) as camera:
    window = LiveWindow(camera, "run.h5")
    window.show()
    window.record.click()
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        QApplication.processEvents()
        time.sleep(0.005)
    window.window.grab().save(sys.argv[1])
    window.close()
"""


def recording(path: Path) -> Path:
    """Record cells that drift and bleach, with the noise of an sCMOS camera and two losses."""
    generator = np.random.default_rng(1)
    side, frames = 256, 120
    y, x = np.indices((side, side))
    scene = np.zeros((side, side))
    for cy, cx, width, height in generator.uniform((0, 0, 4, 100), (side, side, 16, 1500), (30, 4)):
        scene += height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    info = DetectorInfo(description="Simulated cells", count_time_s=0.01, sample_pixel_um=(0.325, 0.325), bit_depth=16)
    time_ns = 0
    with Spool(path, info=info, buffer_bytes=32_000_000, overwrite=True) as spool:
        for index in range(frames):
            if lost := {40: 3, 90: 12}.get(index, 0):
                spool.record_loss(lost, "camera" if index == 40 else "core")
            time_ns += 10_000_000 * (1 + lost) + int(generator.normal(0, 20_000))
            light = np.roll(scene, index // 10, axis=1) * np.exp(-index / 200) + 20
            noisy = generator.poisson(light) + generator.normal(100, 1.6, scene.shape)
            spool.put(noisy.clip(0, 65535).astype(np.uint16), {"camera_timestamp": time_ns})
    return path


def in_silx(path: Path, picture: Path) -> None:
    """Show it in silx view."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    subprocess.run([sys.executable, "-c", _SILX, path, picture], check=True, env=environment, timeout=120)


def live(path: Path, picture: Path) -> None:
    """Record Micro-Manager's demo camera in the live window, on a screen in memory: the picture needs OpenGL."""
    environment = os.environ | {"QT_QPA_PLATFORM": "xcb"}
    command = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24", sys.executable, "-c", _LIVE, picture.absolute()]
    subprocess.run(command, check=True, cwd=path.parent, env=environment, timeout=120)
    (path.parent / "run.h5").unlink()


def in_h5web(path: Path, picture: Path) -> None:
    """Show it in JupyterLab's h5web, in a Chromium without a window."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "look"))
    from browser import Browser, fetch, free_port

    port = free_port()
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    lab = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={path.parent}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        fetch(f"http://127.0.0.1:{port}/api")
        with Browser() as browser:
            browser.go(f"http://127.0.0.1:{port}/lab")
            shown = "document.body.innerText.includes('camera frames')"
            browser.open_by_double_click(".jp-DirListing-item", path.name, shown)
            browser.wait_for("document.querySelectorAll('canvas').length > 0")
            browser.evaluate("[...document.querySelectorAll('button')].find(e => e.innerText === 'No')?.click()")
            time.sleep(_DRAWN_S)
            browser.screenshot(picture)
    finally:
        lab.terminate()
        lab.wait()


def main(folder: Path) -> None:
    """Write the pictures and the page that shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = recording(folder / "cells.h5")
    screen = bool(shutil.which("xvfb-run") and find_library("xcb-cursor"))
    pictures: dict[str, tuple[bool, Callable[[Path, Path], object]]] = {
        "mmspool live": (bool(screen and find_spec("ndv") and find_spec("mm_test_adapters")), live),
        "mmspool report": (True, lambda path, picture: report(path, picture, overwrite=True)),
        "silx view": (find_spec("silx") is not None, in_silx),
        "jupyterlab-h5web": (bool(find_spec("jupyterlab_h5web") and shutil.which("chromium")), in_h5web),
    }
    lines = []
    for title, (possible, draw) in pictures.items():
        if possible:
            picture = folder / f"{title.replace(' ', '-')}.png"
            draw(path, picture)
            lines += [f"## {title}", "", f"![{title}]({picture.name})", ""]
    (folder / "gallery.md").write_text("\n".join(["# What it looks like", "", *lines]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
