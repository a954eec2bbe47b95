# Sets JAVA_HOME to a JDK 25; sourced. The same search as in the launcher.
for home in "${JAVA_HOME:-}" /usr/lib/jvm/* /opt/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home \
  "$HOME"/.sdkman/candidates/java/* "$HOME"/.local/share/mise/installs/java/* "$HOME"/.jdks/*; do
  if [ -x "$home/bin/javac" ] && grep -qE '^JAVA_VERSION="(2[5-9]|[3-9][0-9])' "$home/release" 2>/dev/null; then
    export JAVA_HOME=$home
    return 0
  fi
done
echo "No JDK 25 was found; install one or set JAVA_HOME." >&2
exit 1
