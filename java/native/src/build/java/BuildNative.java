import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Builds the native library into the classes of the module: JavaCPP writes the JNI source, CMake compiles it with the
 * kernels. Without CMake or a C++ compiler it says so in one line and leaves the library out.
 */
public class BuildNative {
    /** Platforms of a release, with the compiler that builds for one where it is not the host (Debian's names). */
    private static final Map<String, String> PLATFORMS =
            Map.of("linux-x86_64", "x86_64-linux-gnu-g++", "linux-aarch64", "aarch64-linux-gnu-g++");

    private static final String LIBRARY = System.mapLibraryName("demitasse");

    /** Arguments: the folder native/, the module's target folder, and for which platforms: host, or all. */
    public static void main(String[] args) throws Exception {
        Path source = Path.of(args[0]).toRealPath();
        Path target = Path.of(args[1]).toAbsolutePath();
        boolean all = args[2].equals("all");
        String host = System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-"
                + System.getProperty("os.arch").replace("amd64", "x86_64").replace("arm64", "aarch64");
        String missing = missing(host);
        if (missing != null) {
            if (all) {
                throw new IOException("Libraries for all platforms cannot be built: " + missing);
            }
            forget(target, host);
            System.out.println("The native backend is left out: " + missing);
            return;
        }
        Path jni = jniSource(target);
        build(source, target, jni, host, List.of());
        for (Map.Entry<String, String> platform : PLATFORMS.entrySet()) {
            if (!all && !platform.getKey().equals(host)) {
                forget(target, platform.getKey());
            } else if (!platform.getKey().equals(host)) {
                if (!found(platform.getValue())) {
                    throw new IOException("The library for " + platform.getKey() + " needs " + platform.getValue()
                            + "; install it (package g++-"
                            + platform.getValue().replace("-g++", "").replace('_', '-') + ").");
                }
                String processor = platform.getKey().substring("linux-".length());
                build(
                        source,
                        target,
                        jni,
                        platform.getKey(),
                        List.of(
                                "-DCMAKE_SYSTEM_NAME=Linux",
                                "-DCMAKE_SYSTEM_PROCESSOR=" + processor,
                                "-DCMAKE_CXX_COMPILER=" + platform.getValue()));
            }
        }
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

    private static void build(Path source, Path target, Path jni, String platform, List<String> cross)
            throws Exception {
        Path build = target.resolve(cross.isEmpty() ? "cmake" : "cmake-" + platform);
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
        byte[] library = Files.readAllBytes(build.resolve(LIBRARY));
        String hash =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(library));
        Path output = libraries(target, platform);
        Files.createDirectories(output);
        Files.write(output.resolve(LIBRARY), library);
        Files.writeString(output.resolve(LIBRARY + ".sha256"), hash + "\n");
    }

    /** What an earlier build left: it is of other sources. */
    private static void forget(Path target, String platform) throws IOException {
        for (String name : List.of(LIBRARY, LIBRARY + ".sha256")) {
            Files.deleteIfExists(libraries(target, platform).resolve(name));
        }
    }

    private static Path libraries(Path target, String platform) {
        return target.resolve("classes/dev/demitasse/nativecpu/" + platform);
    }

    private static String missing(String host) {
        if (!PLATFORMS.containsKey(host)) {
            return "it is built for Linux on x86-64 and AArch64, not for " + host + ".";
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
