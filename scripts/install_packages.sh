#!/bin/sh
# Installs the pinned Python packages into a virtual environment.
# Usage: install_packages.sh PYTHON {wheels|sourced}
set -eu
python=$1
ros=$2
here=$(dirname "$0")/../requirements
cpu_index=https://download.pytorch.org/whl/cpu

reachable() {
    "$python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=8)' "$1" 2>/dev/null
}

# torch from the default index brings 3 GB of CUDA libraries; a machine without an NVIDIA driver is
# better off with the 200 MB build for CPUs, where that can be had.
nvidia() { [ -e /dev/nvidiactl ] || command -v nvidia-smi >/dev/null; }
if ! "$python" -c 'import torch' 2>/dev/null && ! nvidia && reachable "$cpu_index/torch/"; then
    "$python" -m pip install --no-compile --no-deps -c "$here/constraints.txt" \
        --extra-index-url "$cpu_index" torch
fi

set -- -r "$here/base.txt" -r "$here/dev.txt"
if [ "$ros" = wheels ]; then
    set -- "$@" -r "$here/ros.txt"
else
    set -- "$@" "setuptools<80"
fi
# Byte code comes with the first import of what is imported at all.
"$python" -m pip install --no-compile -c "$here/constraints.txt" "$@"
