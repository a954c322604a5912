"""Recipes for containers and clusters: they parse, call dmcvr as it can be called, and agree with one another."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tyro
import yaml

from dmcvr.cli.main import Command

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "docs" / "howto" / "recipes"
CONTAINERS = ROOT / "containers"


def parsed(arguments: list[str]) -> Any:
    return tyro.cli(Command, args=arguments)  # type: ignore[arg-type]


def called(text: str) -> list[list[str]]:
    """The arguments of each call of dmcvr in a shell script, its variables filled in."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*$", "", text, flags=re.M))
    text = re.sub(r"\$\(\([^)]*\)\)|\$\{?SLURM_ARRAY_TASK_(ID|COUNT)\}?|\$\{?SLURM_CPUS_PER_TASK\}?", "2", text)
    text = re.sub(r"\$\{?(\w+)\}?", r"/\1", text)
    return [shlex.split(call)[1:] for call in re.findall(r"(?:^|\s)(?:dmcvr|dmcvr\.sif) [^\n|;&]*", text)]


def manifest(name: str) -> Any:
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["slurm-array.sh", "slurm-gpu.sh"])
def test_batch_scripts_do_their_part(name: str) -> None:
    subprocess.run(["bash", "-n", RECIPES / name], check=True)
    text = (RECIPES / name).read_text(encoding="utf-8")
    (call,) = called(text)
    command = parsed(call)
    assert type(command).__name__ == "CohortCommand"
    assert command.part == "2/2"
    assert "--signal=B:TERM" in text  # so that the job is told before it is killed
    assert "\nexec " in text  # and the shell does not keep it to itself


def test_every_pod_of_the_array_has_its_part() -> None:
    job = manifest("kubernetes-array.yaml")["spec"]
    script = job["template"]["spec"]["containers"][0]["args"][0]
    assert job["completionMode"] == "Indexed"
    assert f'--part "$((JOB_COMPLETION_INDEX + 1))/{job["completions"]}"' in script
    (call,) = called(script)
    assert type(parsed(call)).__name__ == "CohortCommand"
    for status, expected in ((0, 0), (3, 0), (2, 2), (137, 137)):
        tail = script.split("\n", 1)[1]
        done = subprocess.run(["sh", "-c", f"(exit {status})\n{tail}"], check=False)
        assert done.returncode == expected


def test_client_scheduler_and_workers_find_each_other() -> None:
    cluster, client = manifest("kubernetes-dask.yaml"), manifest("kubernetes-client.yaml")
    command = parsed(client["spec"]["template"]["spec"]["containers"][0]["args"])
    spec = cluster["spec"]
    ports = {port["name"]: port["port"] for port in spec["scheduler"]["service"]["ports"]}
    assert command.scheduler == f"tcp://{cluster['metadata']['name']}-scheduler:{ports['tcp-comm']}"
    assert spec["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    worker, scheduler = spec["worker"]["spec"], spec["scheduler"]["spec"]
    images = {pod["containers"][0]["image"] for pod in (worker, scheduler, client["spec"]["template"]["spec"])}
    assert len(images) == 1
    mounts = [{m["mountPath"] for m in pod["containers"][0]["volumeMounts"]} for pod in (worker, scheduler)]
    assert "/data" in mounts[0]


@pytest.mark.parametrize("name", ["kubernetes-array.yaml", "kubernetes-client.yaml", "kubernetes-dask.yaml"])
def test_no_pod_is_root(name: str) -> None:
    spec = manifest(name)["spec"]
    pods = (
        [spec["template"]["spec"]] if "template" in spec else [spec[part]["spec"] for part in ("scheduler", "worker")]
    )
    user = re.search(r"^USER (\d+)", (CONTAINERS / "Containerfile").read_text(encoding="utf-8"), re.M)
    assert user is not None
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == int(user[1]) > 0


def test_workers_are_told_as_dask_jobqueue_knows_it() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue: pip install 'dmcvr[cohort]'")
    defaults = Path(jobqueue.__file__).with_name("jobqueue.yaml")
    known = yaml.safe_load(defaults.read_text(encoding="utf-8"))["jobqueue"]["slurm"]
    assert set(manifest("jobqueue.yaml")["jobqueue"]["slurm"]) <= set(known)


def test_python_recipes_are_python() -> None:
    for path in RECIPES.glob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")


def test_both_containers_take_the_same_files_and_step() -> None:
    container, apptainer = ((CONTAINERS / name).read_text(encoding="utf-8") for name in ("Containerfile", "dmcvr.def"))
    copied = set(" ".join(re.findall(r"^COPY (?!--)(.*) \S+$", container, re.M)).split())
    listed = set(re.findall(r"^    (\S+) /src/", apptainer, re.M))
    assert copied == listed
    assert all((ROOT / name).exists() for name in copied)
    allowed = (CONTAINERS / "Containerfile.dockerignore").read_text(encoding="utf-8")
    assert {line[1:] for line in allowed.splitlines() if line.startswith("!")} == copied
    assert re.search(r"^FROM .*\nLABEL", container, re.M)  # the last stage starts anew: no npm in it
    for text in (container, apptainer):
        assert "containers/install /src /opt/dmcvr" in text


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [CONTAINERS / "install", ROOT, tmp_path / "opt", "tpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "expected cpu or cuda, got tpu" in done.stderr
    assert not (tmp_path / "opt").exists()
