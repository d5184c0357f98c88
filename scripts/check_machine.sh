#!/bin/sh
# Says in one sentence what this machine lacks to set the package up, and how to get it.
# Usage: check_machine.sh PYTHON {wheels|sourced}
python=$1
ros=$2
missing=""
packages=""

lack() { # what it is, Debian package
    missing="${missing:+$missing, }$1"
    packages="$packages $2"
}

if ! command -v "$python" >/dev/null; then
    lack "Python 3.10 or newer" "python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "kdbts_ros needs Python 3.10 or newer, and $python is $("$python" -V 2>&1 | cut -d' ' -f2);" \
        "name another one: make venv PYTHON=python3.12" >&2
    exit 1
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lack "the venv module of Python" "python3-venv"
fi
command -v cmake >/dev/null || lack "cmake" "cmake"
command -v g++ >/dev/null || lack "g++" "g++"
# What builds CMake's Makefiles need not be the make that reads ours.
command -v make >/dev/null || lack "make" "make"

if [ -n "$missing" ]; then
    echo "kdbts_ros needs $missing: sudo apt-get install$packages" >&2
    exit 1
fi

if [ "$ros" = wheels ]; then
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        echo "there are no ROS 2 wheels for $(uname -s) on $(uname -m):" \
            "install ROS 2, source its setup.bash, and run this again" >&2
        exit 1
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 15))'; then
        echo "there are no ROS 2 wheels for Python newer than 3.14;" \
            "name another one: make venv PYTHON=python3.12" >&2
        exit 1
    fi
fi
