#!/usr/bin/env bash
# The pages of `advise`, `evaluate` and `quantize` with --report in headless Chromium (Debian's package chromium, which
# is installed where that is possible), light and dark: every chart is drawn, and nothing is asked of the network.
# Without Chromium it is skipped, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/packages.sh
find_browser() {
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
}
find_browser
[ -n "$browser" ] || { install chromium && find_browser; }
if [ -z "$browser" ]; then
  echo "ci/report.sh: there is no Chromium; the reports are not drawn"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tiny=java/testkit/src/main/resources/dev/demitasse/testkit/golden/tiny/tiny-llama.gguf
for _ in $(seq 60); do echo "A demitasse holds half of what a cup does."; done >"$work/text"
{
  ./demitasse advise llama-2-7b --device-profile h100-pcie --report "$work/advise.html"
  ./demitasse advise "$tiny" --report "$work/measured.html"
  ./demitasse quantize "$tiny" "$work/q8.gguf" --weights q8_0 --report "$work/quantize.html"
  ./demitasse quantize "$tiny" "$work/q4.gguf" --weights q4_0
  ./demitasse evaluate "$work/q8.gguf" "$work/q4.gguf" --base "$tiny" -f "$work/text" --ctx 64 --curve \
    --report "$work/evaluate.html"
} >"$work/said" </dev/null
draw() { # page, scheme, the rest as Chromium takes it
  "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile$2" --virtual-time-budget=4000 \
    --blink-settings=preferredColorScheme="$2" "${@:3}" "file://$work/$1.html" 2>>"$work/log"
}
look() { # page, charts, colors
  if grep -Eo '(src|href|action)="?(https?:)?//[^" ]*|url\("?https?:[^)]*|@import [^;]*' "$work/$1.html"; then
    echo "ci/report.sh: $1.html asks the network"
    return 1
  fi
  draw "$1" 1 --window-size=1300,3400 --screenshot="$work/$1-light.png" >>"$work/log"
  draw "$1" 1 --dump-dom >"$work/$1-light.html"
  draw "$1" 0 --window-size=1300,3400 --screenshot="$work/$1-dark.png" >>"$work/log"
  draw "$1" 0 --dump-dom >"$work/$1-dark.html"
  python3 ci/report_page.py "$work/$1-light.html" "$work/$1-light.png" light "$2" "$3" \
    "$work/$1-dark.html" "$work/$1-dark.png" dark "$2" "$3"
}
look advise 6 4
look measured 6 4
look evaluate 2 2
look quantize 2 1
