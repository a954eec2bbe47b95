#!/usr/bin/env bash
# Files that `demitasse quantize` writes, read by others: the Python package gguf, whose decoders must see the errors
# that were reported, and llama.cpp, where ci/peers.py has installed it. Needs a built command line.
set -euo pipefail
cd "$(dirname "$0")/.."

home=${DEMITASSE_PEERS:-${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/demitasse}/peers}
if "$home/bin/python" -c 'import gguf, llama_cpp' 2>/dev/null; then
  exec "$home/bin/python" ci/gguf_files.py
fi
home=$PWD/target/gguf
if ! "$home/bin/python" -c 'import gguf' 2>/dev/null; then
  if ! { python3 -m venv --system-site-packages "$home" && "$home/bin/pip" install -q gguf==0.19.0; }; then
    echo "ci/gguf.sh: the Python package gguf could not be installed; skipped"
    exit 0
  fi
fi
exec "$home/bin/python" ci/gguf_files.py
