#!/bin/sh
# Installs the pinned Python packages into a virtual environment.
# Usage: install_packages.sh PYTHON {wheels|sourced} {torch|most|loops|ros|tools}
# torch and most have nothing in common and may run at once; loops brings what torch needs besides,
# after which the loops can be compiled; the others come after it, one by one.
set -eu
python=$1
ros=$2
what=$3
here=$(dirname "$0")/../requirements
torch=$(grep '^torch' "$here/base.txt")

# Byte code comes with the first import of what is imported at all. Until all is there, pip would
# call what is missing an error.
install() {
    "$python" -m pip install --no-compile --no-warn-conflicts -c "$here/constraints.txt" "$@"
}

case $what in
torch) install --no-deps "$torch" ;;
most) grep -v '^torch' "$here/base.txt" | install --quiet -r /dev/stdin ;;
loops) install "$torch" ;;
ros)
    if [ "$ros" = wheels ]; then
        install --quiet -r "$here/ros.txt"
    else
        install --quiet "setuptools<80"
    fi
    ;;
tools) install -r "$here/dev.txt" -r "$here/docs.txt" -r "$here/train.txt" ;;
esac
