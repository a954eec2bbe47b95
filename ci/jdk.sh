# Finds a JDK 25 or later and exports it as JAVA_HOME; sourced by the launcher and by scripts, in any shell.
jdk_version=25

jdk_major() { # the major version of the JDK in folder $1, or 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null | head -n 1 | grep . || echo 0
}

find_jdk() {
  on_path=$(command -v javac 2>/dev/null || true)
  [ -z "$on_path" ] ||
    on_path=$(CDPATH= cd -- "$(dirname -- "$(readlink -f "$on_path" 2>/dev/null || echo "$on_path")")/.." && pwd)
  for home in "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/* /opt/java/* /opt/jdk* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home "${HOME:-}"/Library/Java/JavaVirtualMachines/*/Contents/Home \
    "${HOME:-}"/.sdkman/candidates/java/* "${HOME:-}"/.local/share/mise/installs/java/* "${HOME:-}"/.jdks/*; do
    if [ -n "$home" ] && [ -x "$home/bin/javac" ] && [ "$(jdk_major "$home")" -ge "$jdk_version" ]; then
      echo "$home"
      return
    fi
  done
  echo "demitasse: no JDK $jdk_version or later was found in JAVA_HOME, on the PATH, or in the usual places." >&2
  echo "Install one (Temurin: https://adoptium.net, or: mise use -g java@25, or: sdk install java 25-tem)" \
    "or set JAVA_HOME." >&2
  return 1
}

JAVA_HOME=$(find_jdk) || exit 1
export JAVA_HOME
