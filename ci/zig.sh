#!/usr/bin/env bash
# Brings zig, whose C++ compiler builds the native library for macOS and Windows, from the Python package ziglang;
# prints the folder of the program. Use: PATH="$(ci/zig.sh):$PATH".
set -euo pipefail
version=0.17.0
folder="${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/demitasse}/zig-$version"
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c "import ziglang" 2>/dev/null; then
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet "ziglang==$version" >&2
fi
"$folder/bin/python" -c "import os, ziglang; print(os.path.dirname(ziglang.__file__))"
