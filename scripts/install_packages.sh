#!/bin/sh
# Installs the pinned Python packages into a virtual environment.
# Usage: install_packages.sh PYTHON {wheels|sourced}
set -eu
python=$1
ros=$2
here=$(dirname "$0")/../requirements

set -- -r "$here/base.txt" -r "$here/dev.txt" -r "$here/docs.txt" -r "$here/train.txt"
if [ "$ros" = wheels ]; then
    set -- "$@" -r "$here/ros.txt"
else
    set -- "$@" "setuptools<80"
fi
# Byte code comes with the first import of what is imported at all.
"$python" -m pip install --no-compile -c "$here/constraints.txt" "$@"
