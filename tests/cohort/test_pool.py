"""Workers for the cores, the memory and the GPUs that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmcvr.cohort.pool import Place, gpu_devices, worker_count, worker_specs
from dmcvr.errors import InputError

GIB = 2**30


def test_workers_by_cores_and_memory() -> None:
    assert worker_count(16, 64 * GIB, 1) == 16
    assert worker_count(16, 64 * GIB, 4) == 4
    assert worker_count(16, 8 * GIB, 1) == 5
    assert worker_count(2, 1 * GIB, 4) == 1


def test_no_library_takes_more_threads_than_its_worker_has() -> None:
    specs = worker_specs(3, 2, (), 12 * GIB)
    assert len(specs) == 3
    for spec in specs.values():
        assert spec["options"]["nthreads"] == 1
        assert spec["options"]["env"]["OMP_NUM_THREADS"] == "2"
        assert spec["options"]["memory_limit"] == 4 * GIB
        assert "CUDA_VISIBLE_DEVICES" not in spec["options"]["env"]


def test_one_process_a_gpu_which_sees_no_other() -> None:
    specs = worker_specs(16, 2, ("0", "3", "GPU-abc"), 12 * GIB)
    assert [spec["options"]["env"]["CUDA_VISIBLE_DEVICES"] for spec in specs.values()] == ["0", "3", "GPU-abc"]


def test_gpus_as_the_batch_system_gave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.cohort.pool.version", lambda name: "2.13.0+cu130")
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).write_text("")
    assert gpu_devices("auto", {}, tmp_path) == ("0", "1")
    assert gpu_devices("auto", {"CUDA_VISIBLE_DEVICES": "2, 5"}, tmp_path) == ("2", "5")
    assert gpu_devices("auto", {"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == ()
    assert gpu_devices("cpu", {}, tmp_path) == ()
    monkeypatch.setattr("dmcvr.cohort.pool.version", lambda name: "2.13.0+cpu")
    assert gpu_devices("auto", {}, tmp_path) == ()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place(scheduler="tcp://a:1", workers=2), "--scheduler has its own workers"),
        (Place(cluster="slurm"), "how many jobs to submit to slurm"),
        (Place(threads=0), "--threads of 1 or more; got 0"),
    ],
)
def test_what_does_not_go_together(place: Place, said: str) -> None:
    with pytest.raises(InputError, match=said):
        place.check()


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.cohort.pool.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'dmcvr\[cohort\]'"):
        Place().check()
