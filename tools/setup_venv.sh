#!/bin/sh
# Make .venv with ovseg (editable) and the test tools in it, or with other extras:
#     sh tools/setup_venv.sh [EXTRAS]      for example test,docs
# Used by the Makefile.
set -eu
cd "$(dirname "$0")/.."
extras=${1:-test}

say() { printf '%s\n' "$*" >&2; }

# The first interpreter that the dependencies support; PYTHON=... chooses another.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "ovseg needs Python 3.10 to 3.14, and none was found; install one, or set PYTHON=/path/to/python"
    exit 1
}

# Debian splits venv's pip off into a package of its own.
require_ensurepip() {
    if ! "$1" -c 'import ensurepip' 2>/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv
    fi
    if ! "$1" -c 'import ensurepip' 2>/dev/null; then
        say "$1 cannot make virtual environments here; on Debian: sudo apt-get install python3-venv"
        exit 1
    fi
}

# The mark tells an environment whose set-up was cut short; such a one is made again from nothing.
unfinished=.venv/unfinished

if [ -e $unfinished ] || ! [ -x .venv/bin/python ]; then
    python=$(find_python)
    require_ensurepip "$python"
    rm -rf .venv
    mkdir .venv
    touch $unfinished
    "$python" -m venv .venv
fi
touch $unfinished
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

# The headless OpenCV needs no system libraries; the override keeps the other one out on Linux.
set -- --python .venv/bin/python --constraint tools/constraints.txt
case $(uname -s) in
    Linux) set -- "$@" --override tools/overrides.txt opencv-python-headless ;;
esac
.venv/bin/uv pip install "$@" --editable ".[$extras]"
rm $unfinished
