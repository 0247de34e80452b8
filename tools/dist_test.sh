#!/usr/bin/env bash
# Test with several processes of one machine or of several:
#     tools/dist_test.sh CONFIG PROCESSES [CHECKPOINT] [options of tools/test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT are taken from the environment.
set -euo pipefail

config=${1:?usage: $0 CONFIG PROCESSES [options]}
processes=${2:?usage: $0 CONFIG PROCESSES [options]}

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$config" "${@:3}" --launcher pytorch
