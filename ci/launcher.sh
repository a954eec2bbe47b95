#!/usr/bin/env bash
# The launcher and its process as a shell sees them: every command's --help, locales, links, no HOME, a full disk, a
# closed pipe, what is piped in. Builds what is missing. Needs the demo model only for what chats, which is left out, by
# name, where it is not there.
set -uo pipefail
cd "$(dirname "$0")/.."
demitasse=$PWD/demitasse
tiny=$PWD/java/testkit/src/main/resources/dev/demitasse/testkit/golden/tiny/tiny-llama.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# check NAME EXPECTED-CODE PATTERN COMMAND…: the exit code, and a pattern in what is printed (- for none).
check() {
  local name=$1 code=$2 pattern=$3 got
  shift 3
  timeout 120 "$@" >"$work/out" 2>&1 </dev/null
  got=$?
  if [ "$got" = "$code" ] && ! grep -q $'^\tat ' "$work/out" &&
    { [ "$pattern" = - ] || grep -qE -- "$pattern" "$work/out"; }; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "launcher: $name: exit code $got (wanted $code), printed:"
    head -n 12 "$work/out"
  fi
}
shell() { # the same of a line of shell
  check "$1" "$2" "$3" bash -c "set -o pipefail; $4"
}

"$demitasse" --version >/dev/null || exit 1
for command in chat generate pull ls show tokenize embed bench perplexity devices tune generate-completion; do
  check "$command --help" 0 "Usage: demitasse $command" "$demitasse" "$command" --help
done

tokens() { "$demitasse" tokenize -m "$tiny" --json -- "$1"; }
want=$(tokens 'é@x')
for locale in C POSIX en_US.ISO-8859-1 ar_EG.UTF-8 th_TH.UTF-8; do
  check "tokens under LC_ALL=$locale" 0 "^$(printf '%s' "$want" | sed 's/[][{}]/\\&/g')$" \
    env LC_ALL=$locale "$demitasse" tokenize -m "$tiny" --json -- 'é@x'
done
cp "$tiny" "$work/é ü.gguf"
check "a file name beyond ASCII under LC_ALL=C" 0 'token_embd' env LC_ALL=C "$demitasse" show "$work/é ü.gguf"
check "digits under an Arabic locale" 0 'GGUF version 3, 5[0-9,]+ bytes' \
  env LC_ALL=ar_EG.UTF-8 "$demitasse" show "$tiny"
check "a text that begins with @" 0 tokens "$demitasse" tokenize -m "$tiny" --json '@@ -1 @@'
check "a text @file after --" 0 tokens "$demitasse" tokenize -m "$tiny" --json -- @/etc/passwd
check "a prompt that looks like an option" 0 '"promptTokens":\[[0-9]+,[0-9]+\]' \
  "$demitasse" generate -m "$tiny" -p -n -n 1 --json
ln -s "$demitasse" "$work/link"
ln -s link "$work/link-of-link"
check "a linked launcher" 0 tokens "$work/link-of-link" tokenize -m "$tiny" --json a
check "no HOME" 0 tokens env -u HOME "$demitasse" tokenize -m "$tiny" --json a
check "no environment but PATH" 0 tokens env -i PATH="$PATH" "$demitasse" tokenize -m "$tiny" --json a

shell "a text piped in beside -p" 0 '"promptTokens":\[97,98,99\]' \
  "printf bc | '$demitasse' generate -m '$tiny' -p a -n 1 --json"
shell "a text piped in alone" 0 '"promptTokens":\[98,99\]' "printf bc | '$demitasse' generate -m '$tiny' -n 1 --json"
shell "a folder as standard input" 2 'cannot be read' "'$demitasse' generate -m '$tiny' -p a -n 1 < /"
shell "a slow text piped in" 0 '"promptTokens":\[97,98\]' \
  "(sleep 4; printf b) | '$demitasse' generate -m '$tiny' -p a -n 1 --json"
shell "more than a context piped in" 2 'holds more than 64 MiB' \
  "head -c 100M /dev/zero | '$demitasse' generate -m '$tiny' -p a -n 1"
shell "a full disk" 1 'No space left on device' "'$demitasse' generate -m '$tiny' -p a -n 3 > /dev/full"
shell "a full disk, JSON" 1 'No space left on device' "'$demitasse' show '$tiny' --json > /dev/full"
quantize="'$demitasse' quantize '${tiny%/tiny/*}/types/F16.gguf' '$work/f32.gguf' --weights f32"
shell "a full disk, quantize" 1 'run the same command again' "ulimit -f 1000; $quantize"
shell "quantize goes on" 0 '^[1-9][0-9]* tensors are there from an earlier run' \
  "$quantize && [ ! -e '$work/f32.gguf.partial' ]"
begin=$SECONDS
shell "a reader that goes" 1 - "'$demitasse' generate -m '$tiny' --raw -p a -n 1000000 --ctx 4096 | head -c 5"
[ $((SECONDS - begin)) -lt 20 ] || { failed=$((failed + 1)); echo "launcher: a reader that goes: computed on"; }

check "perplexity of no file" 2 'There is no file' "$demitasse" perplexity -m "$tiny" -f "$work/none"
check "perplexity of a folder" 2 'is a folder' "$demitasse" perplexity -m "$tiny" -f "$work"
check "perplexity of no text" 2 'no text in UTF-8' "$demitasse" perplexity -m "$tiny" -f "$tiny"
echo "a b c d e f g h" >"$work/text"
for window in 1 2 3; do
  check "perplexity in windows of $window" 2 'at least 4' "$demitasse" perplexity -m "$tiny" -f "$work/text" -c $window
done
check "bench of no runs" 2 'at least one run' "$demitasse" bench -m "$tiny" -r 0
check "bench at a negative depth" 2 'negative' "$demitasse" bench -m "$tiny" -d -1
check "an unwritable cache" 1 'demitasse: Fetching' env DEMITASSE_CACHE=/proc/none "$demitasse" pull smollm2-135m
check "too many threads" 2 'number of threads' "$demitasse" generate -m "$tiny" -p a --threads 2000000000
check "a context beyond the model's" 2 'trained for' "$demitasse" generate -m "$tiny" -p a --ctx 10000000

# A disk that is full in the middle of a file: no file may have more than 8 KiB.
shell "quantizing where the file cannot grow" 1 'Writing .*\.gguf failed|Cannot write' \
  "ulimit -f 8; '$demitasse' quantize '$tiny' '$work/grown.gguf' --weights f16"
shell "no half file has the final name" 0 - "[ ! -e '$work/grown.gguf' ] && [ -s '$work/grown.gguf.partial' ]"
shell "and it is gone on with" 0 - \
  "'$demitasse' quantize '$tiny' '$work/grown.gguf' --weights f16 && [ ! -e '$work/grown.gguf.partial' ]"

# The Maven wrapper, with a Maven that says what it was called with.
wrapper=$work/wrapper
mkdir -p "$wrapper/.mvn/wrapper" "$wrapper/ci" "$work/apache-maven-9.9/bin" "$work/r/org/apache/maven/apache-maven/9.9"
cp mvnw "$wrapper" && cp ci/jdk.sh "$wrapper/ci"
printf '#!/bin/sh\necho "maven: $JAVA_HOME: $*"\n' >"$work/apache-maven-9.9/bin/mvn"
chmod +x "$work/apache-maven-9.9/bin/mvn"
archive=$work/r/org/apache/maven/apache-maven/9.9/apache-maven-9.9-bin.tar.gz
tar -czf "$archive" -C "$work" apache-maven-9.9
maven() { # SHA-256; writes what the wrapper reads
  printf 'distributionUrl=file:///none/apache-maven-9.9-bin.tar.gz\ndistributionSha256Sum=%s\n' "$1" \
    >"$wrapper/.mvn/wrapper/maven-wrapper.properties"
}
maven 0123
check "a Maven with another sum" 1 'another SHA-256' \
  env MAVEN_USER_HOME="$work/m" MVNW_REPOURL="file://$work/r" "$wrapper/mvnw" verify
shell "nothing is left of it" 0 - "[ -z \"\$(find $work/m -type f)\" ]"
maven "$({ sha256sum "$archive" 2>/dev/null || shasum -a 256 "$archive"; } | cut -d ' ' -f 1)"
check "a Maven that is not there" 1 'could not be fetched' env MAVEN_USER_HOME="$work/m" "$wrapper/mvnw" verify
shell "Maven is fetched" 0 'maven: /.*: -q verify' \
  "MAVEN_USER_HOME=$work/m MVNW_REPOURL=file://$work/r $wrapper/mvnw -q verify | grep -v Fetching"
shell "and kept" 0 '^maven: /.*: verify' "MAVEN_USER_HOME=$work/m $wrapper/mvnw verify 2>&1 | { ! grep -q Fetching; } \
  && MAVEN_USER_HOME=$work/m $wrapper/mvnw verify"

model=${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/demitasse}/models/SmolLM2-135M-Instruct.Q4_1.gguf
if [ -e "$model" ]; then
  said="one\n/save $work\n/load $work/none\n/load $tiny\n/save $work/talk\n/load $work/talk\ntwo\n/save $work/talk\n"
  shell "the last line, and failing commands of a chat" 0 '^\{"role":"user","content":"two"\}' \
    "printf '$said/save /dev/full\nthree' | '$demitasse' chat -m '$model' -n 4 --temp 0 > $work/said \
      && [ \$(grep -c . $work/said) -ge 6 ] && cat $work/talk"
  if command -v script >/dev/null; then # a terminal
    shell "colors on a terminal" 0 - \
      "TERM=xterm NO_COLOR= script -qec \"'$demitasse' chat -m '$model' -p hi -n 1\" /dev/null | grep -q $'\x1b'"
    shell "colors on a dumb terminal" 0 - \
      "TERM=dumb script -qec \"'$demitasse' chat -m '$model' -p hi -n 1\" /dev/null | { ! grep -q $'\x1b'; }"
    shell "colors that are not wanted" 0 - \
      "TERM=xterm NO_COLOR=1 script -qec \"'$demitasse' chat -m '$model' -p hi -n 1\" /dev/null \
        | { ! grep -q $'\x1b'; }"
  fi
else
  echo "launcher: chats are not tried: the demo model was not fetched"
fi
echo "launcher: $passed passed, $failed failed"
[ "$failed" = 0 ]
