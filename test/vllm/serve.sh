#!/bin/sh
# Serves the made model with real vLLM on CPU, with the flags of a production Qwen3 fleet, in the foreground.
# usage: serve.sh DIR PORT        Ready when GET /health answers 200. Stop with SIGTERM to this process.
set -eu
[ $# -eq 2 ] || { echo "usage: serve.sh DIR PORT" >&2; exit 2; }
cd "$1"                                         # relative name: /v1/models shows it as `root`
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1   # no look-ups, no telemetry
export VLLM_CPU_KVCACHE_SPACE=1                 # GiB of KV cache (default would take half of the machine's memory)
export VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1   # leave the other cores to the system under test
exec venv/bin/vllm serve ./tiny \
  --load-format dummy --dtype float32 --max-model-len 4096 --enforce-eager \
  --served-model-name Qwen/Qwen3-30B-A3B-FP8 --host 127.0.0.1 --port "$2" \
  --enable-prompt-tokens-details --enable-server-load-tracking \
  --structured-outputs-config.backend xgrammar \
  --default-chat-template-kwargs '{"enable_thinking": false}' \
  --enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser qwen3
