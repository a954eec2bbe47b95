#!/bin/sh
# Runs an application that embeds Demitasse (ci/embedding) in the ways in which applications are run: class path, module
# path, jlink, jpackage, one jar of all, a jar of jars as Spring Boot makes it, and with native access denied. Uses the
# jars of the last build (mvn package), and fetches Spring Boot's loader.
set -eu
cd "$(dirname "$0")/.."
. ci/jdk.sh
bin=$JAVA_HOME/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$PWD/java/testkit/src/main/resources/dev/demitasse/testkit/golden/tiny/tiny-llama.gguf
mkdir "$work/jars" "$work/app" "$work/all"
version=$(sed -n 's:^  <version>\(.*\)</version>:\1:p' pom.xml)
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

  # One jar of all: files of services that have one name are joined, as Maven's shade plugin does when asked to.
  for jar in "$work"/jars/*.jar "$work/app.jar"; do
    mkdir "$work/one"
    (cd "$work/one" && "$bin/jar" xf "$jar")
    rm -f "$work/one/module-info.class" "$work/one/META-INF/MANIFEST.MF"
    if [ -d "$work/one/META-INF/services" ]; then
      mkdir -p "$work/services"
      for service in "$work"/one/META-INF/services/*; do
        { cat "$service" && echo; } >>"$work/services/$(basename "$service")"
      done
      rm -r "$work/one/META-INF/services"
    fi
    cp -r "$work/one/." "$work/all"
    rm -r "$work/one"
  done
  mkdir -p "$work/all/META-INF"
  cp -r "$work/services" "$work/all/META-INF/services"
  printf 'Enable-Native-Access: ALL-UNNAMED\n' >"$work/manifest"
  "$bin/jar" --create --file "$work/all.jar" --main-class app.Main --manifest "$work/manifest" -C "$work/all" .
  "$bin/java" --add-modules jdk.incubator.vector -jar "$work/all.jar" "$model" $backends \
    >"$work/out" 2>"$work/err" || true
  check "one jar" "$work/out"

  if mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact=org.springframework.boot:spring-boot-loader:4.0.0 -DoutputDirectory="$work" >"$work/err" 2>&1; then
    mkdir -p "$work/boot/BOOT-INF/lib" "$work/boot/BOOT-INF/classes"
    (cd "$work/boot" && "$bin/jar" xf "$work"/spring-boot-loader-*.jar && rm -r META-INF)
    cp "$work"/jars/*.jar "$work/boot/BOOT-INF/lib"
    cp -r "$work/app/app" "$work/boot/BOOT-INF/classes"
    cat >"$work/manifest" <<'EOF'
Main-Class: org.springframework.boot.loader.launch.JarLauncher
Start-Class: app.Main
Spring-Boot-Classes: BOOT-INF/classes/
Spring-Boot-Lib: BOOT-INF/lib/
Enable-Native-Access: ALL-UNNAMED
EOF
    "$bin/jar" --create --file "$work/boot.jar" --manifest "$work/manifest" --no-compress -C "$work/boot" .
    "$bin/java" --add-modules jdk.incubator.vector -jar "$work/boot.jar" "$model" $backends \
      >"$work/out" 2>"$work/err" || true
    check "Spring Boot" "$work/out"
  else
    echo "embedding: Spring Boot's loader was not fetched: not tried"
  fi
}

"$bin/java" -cp "$work/app.jar:$work/jars/*" --illegal-native-access=deny --add-modules jdk.incubator.vector \
  app.Main "$model" $backends >"$work/out" 2>"$work/err" || true
if [ "$(grep -c '^[a-z]*: .*start Java with --enable-native-access=ALL-UNNAMED' "$work/out")" -ne \
  "$(echo "$backends" | wc -w)" ]; then
  echo "embedding: native access denied: the cure is not named"
  cat "$work/out" "$work/err"
  failed=$((failed + 1))
else
  echo "embedding: native access denied: passed"
fi
[ "$failed" -eq 0 ]
