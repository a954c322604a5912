"""The Dask cluster of kubernetes-dask.yaml from Python, grown and shrunk with the work (pip install dask-kubernetes).

Run where kubectl works and /data is mounted; needs the operator in the cluster.
"""

import subprocess
import sys
from pathlib import Path

import yaml
from dask_kubernetes.operator import KubeCluster

EXAMS, OUT = "/data/exams", "/data/out"

if __name__ == "__main__":
    template = yaml.safe_load(Path(__file__).with_name("kubernetes-dask.yaml").read_text(encoding="utf-8"))
    with KubeCluster(custom_cluster_spec=template, namespace="default") as cluster:
        cluster.adapt(minimum=1, maximum=50)
        arguments = ["cohort", "-i", EXAMS, "-o", OUT, "--scheduler", cluster.scheduler_address]
        done = subprocess.run(["dmcvr", *arguments], check=False)
    sys.exit(done.returncode)
