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
    /** Arguments: the folder native/, and the module's target folder. */
    public static void main(String[] args) throws Exception {
        Path source = Path.of(args[0]).toRealPath();
        Path target = Path.of(args[1]).toAbsolutePath();
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch").replace("amd64", "x86_64").replace("arm64", "aarch64");
        Path output = target.resolve("classes/dev/demitasse/nativecpu/" + os + "-" + arch);
        String missing = missing(os, arch);
        if (missing != null) {
            System.out.println("The native backend is left out: " + missing);
            return;
        }
        Path jni = target.resolve("javacpp/jniKernels.cpp");
        Path build = target.resolve("cmake");
        Files.createDirectories(jni.getParent());
        String home = System.getProperty("java.home");
        String java = Path.of(home, "bin", "java").toString();
        Path previous = target.resolve("javacpp/previous.cpp");
        if (Files.exists(jni)) {
            Files.move(jni, previous, StandardCopyOption.REPLACE_EXISTING);
        }
        run(
                java,
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
            Files.move(
                    previous,
                    jni,
                    StandardCopyOption.REPLACE_EXISTING); // the same text with its old time: nothing to compile
        }
        List<String> configure = new ArrayList<>(List.of(
                "cmake",
                "-S",
                source.toString(),
                "-B",
                build.toString(),
                "-DCMAKE_BUILD_TYPE=Release",
                "-DDEMITASSE_JNI=" + jni,
                "-DDEMITASSE_TESTS=OFF",
                "-DJAVA_HOME=" + home));
        if (!Files.exists(build.resolve("CMakeCache.txt")) && found("ninja")) {
            configure.addAll(List.of("-G", "Ninja"));
        }
        run(configure.toArray(String[]::new));
        run("cmake", "--build", build.toString(), "--target", "demitasse", "--parallel");
        String name = System.mapLibraryName("demitasse");
        byte[] library = Files.readAllBytes(build.resolve(name));
        String hash =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(library));
        Files.createDirectories(output);
        Files.write(output.resolve(name), library);
        Files.writeString(output.resolve(name + ".sha256"), hash + "\n");
    }

    private static String missing(String os, String arch) {
        if (!os.equals("linux") || !arch.equals("x86_64") && !arch.equals("aarch64")) {
            return "it is built for Linux on x86-64 and AArch64, not for " + os + " on " + arch + ".";
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
