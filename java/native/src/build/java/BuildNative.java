import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Builds the native library into the classes of the module: JavaCPP writes the JNI source, CMake compiles it with the
 * kernels. Without CMake or a C++ compiler it says so in one line and leaves the library out.
 */
public class BuildNative {
    /**
     * A platform of a release.
     *
     * @param name as the folder of its library
     * @param system CMake's name of the operating system
     * @param processor and of the processor
     * @param library the file's name, as Java wants it there
     * @param compiler that builds for it on another platform (Debian's name); null for zig
     * @param target zig's name of it; null for that compiler
     */
    private record Platform(
            String name, String system, String processor, String library, String compiler, String target) {}

    private static final List<Platform> PLATFORMS = List.of(
            new Platform("linux-x86_64", "Linux", "x86_64", "libdemitasse.so", "x86_64-linux-gnu-g++", null),
            new Platform("linux-aarch64", "Linux", "aarch64", "libdemitasse.so", "aarch64-linux-gnu-g++", null),
            new Platform("macos-aarch64", "Darwin", "arm64", "libdemitasse.dylib", null, "aarch64-macos.12.0"),
            new Platform("windows-x86_64", "Windows", "x86_64", "demitasse.dll", null, "x86_64-windows-gnu"));

    /** Arguments: the folder native/, the module's target folder, and for which platforms: host, or all. */
    public static void main(String[] args) throws Exception {
        Path source = Path.of(args[0]).toRealPath();
        Path target = Path.of(args[1]).toAbsolutePath();
        boolean all = args[2].equals("all");
        String host = host();
        String missing = missing(host);
        if (missing != null && all) {
            throw new IOException("Libraries for all platforms cannot be built: " + missing);
        }
        for (Platform platform : PLATFORMS) {
            if (missing != null || !all && !platform.name.equals(host)) {
                forget(target, platform);
            }
        }
        if (missing != null) {
            System.out.println("The native backend is left out: " + missing);
            return;
        }
        Path jni = jniSource(target);
        for (Platform platform : PLATFORMS) {
            if (platform.name.equals(host)) {
                build(source, target, jni, platform, List.of());
            } else if (all) {
                build(source, target, jni, platform, cross(target, platform));
            }
        }
    }

    /** This platform, as NativeLibrary names it. */
    private static String host() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch").replace("amd64", "x86_64").replace("arm64", "aarch64");
        return (os.startsWith("mac") ? "macos" : os.startsWith("windows") ? "windows" : os) + "-" + arch;
    }

    /** What CMake is to be told to build for another platform. */
    private static List<String> cross(Path target, Platform platform) throws IOException {
        List<String> cross = new ArrayList<>(
                List.of("-DCMAKE_SYSTEM_NAME=" + platform.system, "-DCMAKE_SYSTEM_PROCESSOR=" + platform.processor));
        if (platform.compiler != null) {
            if (!found(platform.compiler)) {
                throw new IOException("The library for " + platform.name + " needs " + platform.compiler
                        + "; install it (package g++-"
                        + platform.compiler.replace("-g++", "").replace('_', '-') + ").");
            }
            cross.add("-DCMAKE_CXX_COMPILER=" + platform.compiler);
            return cross;
        }
        if (!found("zig")) {
            throw new IOException("The library for " + platform.name + " needs zig; install it (ci/zig.sh).");
        }
        Path folder = Files.createDirectories(target.resolve("zig-" + platform.name));
        cross.add("-DDEMITASSE_ZIG=ON");
        cross.add("-DCMAKE_CXX_COMPILER=" + script(folder, "c++", "c++ -target " + platform.target));
        cross.add("-DCMAKE_AR=" + script(folder, "ar", "ar"));
        cross.add("-DCMAKE_RANLIB=" + script(folder, "ranlib", "ranlib"));
        return cross;
    }

    /** A program that is a command of zig, since CMake wants programs. */
    private static Path script(Path folder, String name, String command) throws IOException {
        Path script = folder.resolve(name);
        Files.writeString(script, "#!/bin/sh\nexec zig " + command + " \"$@\"\n");
        if (!script.toFile().setExecutable(true)) {
            throw new IOException("Cannot make " + script + " executable.");
        }
        return script;
    }

    /** What JavaCPP makes of the declarations; it keeps its time where it has not changed. */
    private static Path jniSource(Path target) throws IOException, InterruptedException {
        Path jni = target.resolve("javacpp/jniKernels.cpp");
        Files.createDirectories(jni.getParent());
        Path previous = target.resolve("javacpp/previous.cpp");
        if (Files.exists(jni)) {
            Files.move(jni, previous, StandardCopyOption.REPLACE_EXISTING);
        }
        run(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                "org.bytedeco.javacpp.tools.Builder",
                "-nocompile",
                "-nodelete",
                "-d",
                jni.getParent().toString(),
                "-cp",
                target.resolve("classes").toString(),
                "dev.demitasse.nativecpu.Kernels");
        if (Files.exists(previous) && Files.mismatch(previous, jni) < 0) {
            Files.move(previous, jni, StandardCopyOption.REPLACE_EXISTING); // nothing to compile
        }
        return jni;
    }

    private static void build(Path source, Path target, Path jni, Platform platform, List<String> cross)
            throws Exception {
        Path build = target.resolve(cross.isEmpty() ? "cmake" : "cmake-" + platform.name);
        List<String> configure = new ArrayList<>(List.of(
                "cmake",
                "-S",
                source.toString(),
                "-B",
                build.toString(),
                "-DCMAKE_BUILD_TYPE=Release",
                "-DDEMITASSE_JNI=" + jni,
                "-DDEMITASSE_TESTS=OFF",
                "-DJAVA_HOME=" + System.getProperty("java.home")));
        configure.addAll(cross);
        if (!Files.exists(build.resolve("CMakeCache.txt")) && found("ninja")) {
            configure.addAll(List.of("-G", "Ninja"));
        }
        run(configure.toArray(String[]::new));
        run("cmake", "--build", build.toString(), "--target", "demitasse", "--parallel");
        byte[] library = Files.readAllBytes(build.resolve(platform.library));
        String hash =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(library));
        Path output = libraries(target, platform);
        Files.createDirectories(output);
        Files.write(output.resolve(platform.library), library);
        Files.writeString(output.resolve(platform.library + ".sha256"), hash + "\n");
    }

    /** What an earlier build left: it is of other sources. */
    private static void forget(Path target, Platform platform) throws IOException {
        for (String name : List.of(platform.library, platform.library + ".sha256")) {
            Files.deleteIfExists(libraries(target, platform).resolve(name));
        }
    }

    private static Path libraries(Path target, Platform platform) {
        return target.resolve("classes/dev/demitasse/nativecpu/" + platform.name);
    }

    private static String missing(String host) {
        if (host.startsWith("windows") || PLATFORMS.stream().noneMatch(platform -> platform.name.equals(host))) {
            return "it is built on Linux and macOS, on x86-64 and AArch64 (and there for Windows), not on " + host
                    + ".";
        }
        if (!found("cmake")) {
            return "install CMake (package cmake) to build it.";
        }
        if (!found("c++") && !found("g++") && !found("clang++")) {
            return "install a C++20 compiler (package g++) to build it.";
        }
        return null;
    }

    private static boolean found(String program) {
        return Stream.of(System.getenv("PATH").split(java.io.File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    /** Runs a command; its output is shown only where it fails. */
    private static void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) {
            System.err.println(output);
            throw new IOException("The native build failed: " + String.join(" ", command));
        }
    }
}
