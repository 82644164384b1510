"""Tests of the lab's code without a camera: the simulated core is as real to it as Micro-Manager's."""

import lab_camera
import pytest
from lab_camera import TrialError, brightness, run_trial

import mmspool
from mmspool import Camera, Faults, MockCore, SettingError, SteppedClock, StorageError, frame_index


def make_camera(**options) -> Camera:
    """Return a small camera whose time goes on as it is asked, so that tests do not wait for exposures."""
    return Camera(MockCore(seed=1, width=64, height=64, clock=SteppedClock(tick_s=0.001), **options))


@pytest.fixture
def alerts(mocker):
    """Catch what would go to the lab's chat."""
    return mocker.patch.object(lab_camera, "alert")


def test_a_trial_has_all_frames_in_order(tmp_path, alerts):
    """Each simulated frame carries its number, so reading the file back proves that none is missing."""
    result = run_trial(make_camera(), tmp_path / "trial.h5", frames=50, exposure_ms=5)

    assert result.complete
    with mmspool.open(result.path) as run:
        assert [frame_index(frame) for frame in run] == list(range(50))
    assert len(brightness(result.path)) == 50
    alerts.assert_not_called()


def test_a_missed_trigger_is_an_alert_and_the_frames_are_kept(tmp_path, alerts):
    """After 20 frames no trigger comes any more."""
    camera = make_camera(faults=Faults(stall_after=20))

    with pytest.raises(TrialError, match="20 of 50"):
        run_trial(camera, tmp_path / "trial.h5", frames=50, exposure_ms=5)

    assert "30 frames lost" in alerts.call_args.args[0]
    with mmspool.open(tmp_path / "trial.h5") as run:
        assert len(run) == 20
        assert run.state == "interrupted"


def test_a_frame_lost_inside_the_camera_is_located(tmp_path, alerts):
    """A camera that counts its own frames shows where one is missing."""
    camera = make_camera(camera_counter=True, faults=Faults(dropped_in_camera=frozenset({7})))

    with pytest.raises(TrialError):
        run_trial(camera, tmp_path / "trial.h5", frames=50, exposure_ms=5)

    with mmspool.open(tmp_path / "trial.h5") as run:
        assert [(loss.before_frame, loss.count, loss.stage) for loss in run.losses] == [(7, 1, "camera")]
    alerts.assert_called_once()


def test_a_broken_cable_is_an_alert(tmp_path, alerts):
    """The tenth frame cannot be read from the core."""
    camera = make_camera(faults=Faults(errors={"pop_next_tagged_image": {10: "camera not responding"}}))

    with pytest.raises(TrialError) as failure:
        run_trial(camera, tmp_path / "trial.h5", frames=50, exposure_ms=5)

    assert "camera not responding" in str(failure.value.__cause__)
    alerts.assert_called_once()


def test_a_full_disk_is_an_alert(tmp_path, alerts, mocker):
    """Where there is nothing to simulate, pytest-mock stands in for mmspool itself."""
    mocker.patch.object(Camera, "record", side_effect=StorageError("the disk is full"))

    with pytest.raises(TrialError):
        run_trial(make_camera(), tmp_path / "trial.h5", frames=50, exposure_ms=5)

    alerts.assert_called_once_with("trial.h5: the disk is full")


def test_an_exposure_that_the_camera_cannot_take_is_refused(tmp_path):
    """The trial does not start, and there is no file."""
    with pytest.raises(SettingError, match="out of range"):
        run_trial(make_camera(), tmp_path / "trial.h5", frames=50, exposure_ms=-1)

    assert not list(tmp_path.iterdir())
