#!/bin/sh
# Installs the pinned Python packages into a virtual environment.
# Usage: install_packages.sh PYTHON {wheels|sourced} {run|tools}
set -eu
python=$1
ros=$2
what=$3
here=$(dirname "$0")/../requirements

if [ "$what" = tools ]; then
    set -- -r "$here/dev.txt" -r "$here/docs.txt" -r "$here/train.txt"
elif [ "$ros" = wheels ]; then
    set -- -r "$here/base.txt" -r "$here/ros.txt"
else
    set -- -r "$here/base.txt" "setuptools<80"
fi
# Byte code comes with the first import of what is imported at all.
"$python" -m pip install --no-compile -c "$here/constraints.txt" "$@"
