#!/bin/bash
# A cohort as an array of Slurm jobs: each does its part, with as many workers as it has cores. No scheduler but Slurm's.
#   EXAMS=/data/exams OUT=/data/out sbatch slurm-array.sh
# Submit it again after a failure or a time limit: what is done is left, the rest goes on.
#SBATCH --job-name=dmcvr
#SBATCH --array=1-20
#SBATCH --cpus-per-task=4
#SBATCH --mem=10G
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=dmcvr-%A_%a.log
set -eu
exec dmcvr cohort -i "$EXAMS" -o "$OUT" --device cpu \
    --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --workers "$SLURM_CPUS_PER_TASK"
