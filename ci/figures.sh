#!/usr/bin/env bash
# What README.md and docs/numbers.md show of quantization, tables and charts, made of the raw figures in docs/charts:
#   ci/figures.sh
#   ci/figures.sh --measure TEXT MACHINE   takes those of the demo models first (two hours on two cores that do nothing
#                                          else), by the commands quantize, imatrix, evaluate, advise and bench:
#                                          docs/charts/*-MACHINE.jsonl, which the tables' marks and CHARTS name
set -euo pipefail
cd "$(dirname "$0")/.."
CHARTS="weights-sapphire-rapids cache-sapphire-rapids peers-zen3"

measure() { # text, machine
  local model models=()
  for model in smollm2-135m gemma3-270m; do
    models+=("$(./demitasse pull "$model" | tail -n 1)")
  done
  ci/quality.py "${models[0]}" "$1" --ctx 8192 --out "target/smollm2.jsonl"
  ci/quality.py "${models[1]}" "$1" --ctx 4096 --out "target/gemma.jsonl" --weights F16 Q8_0:exact Q8_0 W8A8 \
    W8A8:text Q5_K_M:imatrix Q4_K_M Q4_K_M:imatrix Q4_0 Q4_0:imatrix int4:text
  for of in smollm2: gemma:gemma-; do
    grep -E '"figure": "(weights|speed)"' "target/${of%%:*}.jsonl" >"docs/charts/weights-${of#*:}$2.jsonl"
    grep -E '"figure": "(cache|depth)"' "target/${of%%:*}.jsonl" >"docs/charts/cache-${of#*:}$2.jsonl"
  done
}

if [ "${1:-}" = --measure ]; then
  [ $# = 3 ] || { echo "ci/figures.sh: --measure takes a text of 60,000 bytes or so, and a name" >&2; exit 2; }
  mkdir -p target
  measure "$2" "$3"
fi
python3 ci/quality_tables.py README.md docs/numbers.md
python=python3
if ! python3 -c 'import matplotlib' 2>/dev/null; then
  python=target/charts/bin/python
  [ -x $python ] || { python3 -m venv target/charts && target/charts/bin/pip install -q matplotlib; }
fi
# shellcheck disable=SC2086 # several
$python ci/charts.py $(printf 'docs/charts/%s.jsonl ' $CHARTS) --out docs/charts
