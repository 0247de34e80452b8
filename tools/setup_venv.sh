#!/bin/sh
# Make .venv with ovseg (editable) and the test tools in it. Used by the Makefile.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# The first interpreter that the dependencies support; PYTHON=... chooses another.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "ovseg needs Python 3.10 to 3.13, and none was found; install one, or set PYTHON=/path/to/python"
    exit 1
}

python=$(find_python)

# Debian splits venv's pip off into a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -q && apt-get install -y -q python3-venv
    else
        say "$python cannot make virtual environments here; on Debian: sudo apt-get install python3-venv"
        exit 1
    fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

# The headless OpenCV needs no system libraries; the override keeps the other one out on Linux.
set -- --python .venv/bin/python --constraint tools/constraints.txt
case $(uname -s) in
    Linux) set -- "$@" --override tools/overrides.txt opencv-python-headless ;;
esac
.venv/bin/uv pip install "$@" --editable '.[test]'
