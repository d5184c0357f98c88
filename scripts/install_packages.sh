#!/bin/sh
# Installs the pinned Python packages into a virtual environment.
# Usage: install_packages.sh PYTHON {wheels|sourced} {torch|most|run|tools}
# torch and most have nothing in common and may run at once; run brings what torch needs besides.
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
most)
    if [ "$ros" = wheels ]; then
        set -- -r "$here/ros.txt"
    else
        set -- "setuptools<80"
    fi
    grep -v '^torch' "$here/base.txt" | install --quiet -r /dev/stdin "$@"
    ;;
run) install "$torch" ;;
tools) install -r "$here/dev.txt" -r "$here/docs.txt" -r "$here/train.txt" ;;
esac
