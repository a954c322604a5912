"""Many exams: found below a folder, run on a Dask cluster, each one's folder whole or absent, nothing done twice."""
