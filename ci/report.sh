#!/usr/bin/env bash
# The page of `advise --report` in headless Chromium (Debian's package chromium), light and dark: every chart is drawn,
# and nothing is asked of the network. Without Chromium it is skipped, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "ci/report.sh: there is no Chromium; the reports are not drawn"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
./demitasse advise llama-2-7b --device-profile h100-pcie --report "$work/report.html" >"$work/advice.txt" </dev/null
for scheme in 1 0; do # light, dark
  "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile$scheme" --virtual-time-budget=4000 \
    --blink-settings=preferredColorScheme=$scheme --window-size=1300,2900 \
    --screenshot="$work/page$scheme.png" "file://$work/report.html" >"$work/log$scheme.txt" 2>&1
  "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile$scheme" --virtual-time-budget=4000 \
    --blink-settings=preferredColorScheme=$scheme --dump-dom "file://$work/report.html" \
    >"$work/page$scheme.html" 2>>"$work/log$scheme.txt"
done
python3 ci/report_page.py "$work"/page1.html "$work"/page1.png light "$work"/page0.html "$work"/page0.png dark
