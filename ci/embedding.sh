#!/bin/sh
# Runs an application that embeds Demitasse (ci/embedding) in the ways in which applications are run: class path, module
# path, jlink, jpackage, one jar of all (Maven's shade plugin), a jar of jars (Spring Boot's plugin, with the starter of
# Spring AI), and with native access denied. Uses the jars of the last build (mvn package). What the two plugins need is
# fetched into a repository of its own under target, so that no other build sees these jars.
set -eu
cd "$(dirname "$0")/.."
. ci/jdk.sh
bin=$JAVA_HOME/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$PWD/java/testkit/src/main/resources/dev/demitasse/testkit/golden/tiny/tiny-llama.gguf
mkdir "$work/jars" "$work/app"
version=$(sed -n 's:^  <version>\(.*\)</version>:\1:p' pom.xml)
boot=$(sed -n 's:.*<spring.boot.version>\(.*\)</.*:\1:p' pom.xml)
for part in template core cpu vector native; do
  cp "java/$part/target/demitasse-$part-$version.jar" "$work/jars"
done
cp "java/demitasse/target/demitasse-$version.jar" "$work/jars" # the one that an application names
for library in jackson-core:jackson jspecify:jspecify; do
  of=$(sed -n "s:.*<${library#*\:}.version>\(.*\)</.*:\1:p" pom.xml)
  cp "java/cli/target/lib/${library%:*}-$of.jar" "$work/jars"
done
backends=vector
"$bin/jar" tf "$(ls "$work"/jars/demitasse-native-*.jar)" | grep -q libdemitasse && backends="native vector"
failed=0

check() { # what it was, the file that it printed to: each backend computed, and all the same
  count=$(grep -c '^[a-z]*: 16.0, \[' "$2" || true)
  wanted=$(echo "$backends" | wc -w)
  if [ "$count" -eq "$wanted" ] && [ "$(sed 's/^[a-z]*: //' "$2" | grep '^16.0' | sort -u | wc -l)" -eq 1 ]; then
    echo "embedding: $1: passed"
  else
    echo "embedding: $1: failed"
    cat "$2" "$work/err"
    failed=$((failed + 1))
  fi
}

publish() { # artifact, its POM, its jar if it has one: as a repository has them
  folder=$work/built/dev/demitasse/$1/$version
  mkdir -p "$folder"
  cp "$2" "$folder/$1-$version.pom"
  [ $# -lt 3 ] || cp "$3" "$folder/$1-$version.jar"
}

package() { # a folder of ci/embedding whose POM packages the application
  mkdir -p "$work/$1/src/main/java/app"
  cp "ci/embedding/$1/pom.xml" "$work/$1"
  cp ci/embedding/app/*.java "$work/$1/src/main/java/app"
  find "ci/embedding/$1" -name '*.java' -exec cp {} "$work/$1/src/main/java/app" \;
  mvn -B -q -f "$work/$1/pom.xml" "-Dmaven.repo.local=$repository" "-Dbuilt=$work/built" \
    "-Ddemitasse.version=$version" "-Dspring.boot.version=$boot" package >"$work/err" 2>&1 || {
    echo "embedding: $1: not packaged"
    tail -n 30 "$work/err"
    failed=$((failed + 1))
    return 1
  }
}

"$bin/javac" -Xlint:-incubating -d "$work/app" -p "$work/jars" ci/embedding/module-info.java ci/embedding/app/Main.java
"$bin/jar" --create --file "$work/app.jar" --main-class app.Main -C "$work/app" .

modules=dev.demitasse,dev.demitasse.nativecpu,dev.demitasse.vector
# shellcheck disable=SC2086 # several backends, several words
{
  "$bin/java" -cp "$work/app.jar:$work/jars/*" --enable-native-access=ALL-UNNAMED \
    --add-modules jdk.incubator.vector app.Main "$model" $backends >"$work/out" 2>"$work/err" || true
  check "class path" "$work/out"

  "$bin/java" -p "$work/app.jar:$work/jars" --enable-native-access=$modules -m app/app.Main "$model" $backends \
    >"$work/out" 2>"$work/err" || true
  check "module path" "$work/out"
  if grep -v 'incubator modules' "$work/err" | grep -i warning; then
    echo "embedding: module path: warnings, with the access that docs/embed.md names"
    failed=$((failed + 1))
  fi

  if [ ! -x "$bin/jlink" ] || [ ! -x "$bin/jpackage" ]; then
    echo "embedding: this JDK has no jlink and jpackage: not tried"
  else
    "$bin/jlink" -p "$work/app.jar:$work/jars" --add-modules app --output "$work/image" \
      --add-options="--enable-native-access=$modules" >"$work/err" 2>&1 || cat "$work/err"
    "$work/image/bin/java" -m app/app.Main "$model" $backends >"$work/out" 2>"$work/err" || true
    check "jlink" "$work/out"

    "$bin/jpackage" --type app-image --name ask --runtime-image "$work/image" --module app/app.Main \
      --dest "$work/packaged" >"$work/err" 2>&1 || cat "$work/err"
    "$work/packaged/ask/bin/ask" "$model" $backends >"$work/out" 2>"$work/err" || true
    check "jpackage" "$work/out"
  fi

  repository=$PWD/target/embedding-repository
  rm -rf "$repository/dev/demitasse"
  publish demitasse-parent pom.xml
  publish demitasse-bom java/bom/pom.xml
  for part in template core cpu vector native spring-ai spring-ai-starter; do
    publish "demitasse-$part" "java/$part/pom.xml" "java/$part/target/demitasse-$part-$version.jar"
  done
  publish demitasse java/demitasse/pom.xml "java/demitasse/target/demitasse-$version.jar"

  if package shaded; then
    "$bin/java" --illegal-native-access=deny --add-modules jdk.incubator.vector \
      -jar "$work/shaded/target/all.jar" "$model" $backends \
      >"$work/out" 2>"$work/err" || true
    check "one jar" "$work/out"
  fi
  if package boot; then
    "$bin/java" --illegal-native-access=deny --add-modules jdk.incubator.vector \
      -jar "$work/boot/target/boot.jar" "$model" $backends \
      --spring.ai.demitasse.chat.model=smollm2-135m --spring.ai.demitasse.chat.max-tokens=4 \
      >"$work/out" 2>"$work/err" || true
    check "Spring Boot" "$work/out"
    if ! grep -q '^chat: answered' "$work/out"; then
      echo "embedding: Spring Boot: the starter's chat client has not answered"
      tail -n 60 "$work/out" "$work/err"
      failed=$((failed + 1))
    fi
  fi
}

denied() { # what it was, words that the message has for each backend: nothing computes, and the cure is named
  for backend in $backends; do
    cure=$2
    [ "$2" != MODULE ] || cure=dev.demitasse.$([ "$backend" = native ] && echo nativecpu || echo "$backend")
    if ! grep -q "^$backend: .*start Java with --enable-native-access=$cure" "$work/out"; then
      echo "embedding: native access denied, $1: the cure is not named"
      cat "$work/out" "$work/err"
      failed=$((failed + 1))
      return
    fi
  done
  echo "embedding: native access denied, $1: passed"
}
# shellcheck disable=SC2086
{
  "$bin/java" -cp "$work/app.jar:$work/jars/*" --illegal-native-access=deny --add-modules jdk.incubator.vector \
    app.Main "$model" $backends >"$work/out" 2>"$work/err" || true
  denied "class path" ALL-UNNAMED
  "$bin/java" -p "$work/app.jar:$work/jars" --illegal-native-access=deny -m app/app.Main "$model" $backends \
    >"$work/out" 2>"$work/err" || true
  denied "module path" MODULE
}

older=$(ls -d /usr/lib/jvm/*17*/bin/javac 2>/dev/null | head -n 1 || true)
if [ -n "$older" ]; then
  JAVA_HOME=${older%/bin/javac} mvn -B -q -N validate >"$work/out" 2>&1 && older_passed=yes || older_passed=no
  if [ "$older_passed" = yes ] || ! grep -q 'it needs 25' "$work/out"; then
    echo "embedding: Maven on JDK 17 does not say what it needs"
    cat "$work/out"
    failed=$((failed + 1))
  else
    echo "embedding: Maven on JDK 17 says that it needs 25: passed"
  fi
else
  echo "embedding: Maven on JDK 17: not tried, there is no such JDK"
fi
[ "$failed" -eq 0 ]
