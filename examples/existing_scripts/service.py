"""Record until systemd, Slurm or a user asks the script to stop: ``python service.py [FILE]``.

systemd:  ExecStart=/opt/lab/venv/bin/python /opt/lab/service.py /data/run.h5
          KillMode=mixed, TimeoutStopSec=90
Slurm:    #SBATCH --signal=B:TERM@120
          exec python service.py $SLURM_JOB_ID.h5
"""

import signal
import sys

from mmspool import Camera

with Camera.demo(width=512, height=512) as camera:
    camera.exposure_ms = 5
    recording = camera.start_recording(sys.argv[1] if len(sys.argv) > 1 else "run.h5")
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows lacks some
            signal.signal(getattr(signal, name), lambda *_: recording.stop())
    print("recording", flush=True)
    result = recording.wait()
    print(f"{result.frames_written} frames, {result.frames_lost} lost: {result.state}")
