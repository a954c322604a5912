#!/bin/bash
# The same with GPUs, in the Apptainer image: one worker a device.
#   EXAMS=/data/exams OUT=/data/out sbatch slurm-gpu.sh
#SBATCH --job-name=dmcvr
#SBATCH --array=1-8
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=12G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=dmcvr-%A_%a.log
set -eu
exec apptainer run --nv --bind "$EXAMS:$EXAMS:ro" --bind "$OUT" dmcvr.sif cohort -i "$EXAMS" -o "$OUT" --device cuda \
    --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
