#!/usr/bin/env bash
# Test on a Slurm cluster:
#     GPUS=8 tools/slurm_test.sh PARTITION JOB_NAME CONFIG [CHECKPOINT] [options of tools/test.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, MASTER_ADDR, MASTER_PORT and SRUN_ARGS are taken from the environment.
set -euo pipefail

usage="usage: $0 PARTITION JOB_NAME CONFIG [options]"
partition=${1:?$usage}
name=${2:?$usage}
config=${3:?$usage}
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}

exec srun -p "$partition" --job-name="$name" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} bash -c '
        export MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_NODELIST" | head -n1)}
        exec "${PYTHON:-python}" "$@"' \
    test "$(dirname "$0")/test.py" "$config" "${@:4}" --launcher slurm
