import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Builds the kernels' fatbins into the classes of the module, or, for tests, the emulator and the stand-in of cuBLAS
 * beside them. Without a CUDA toolchain, CMake or a C++ compiler it says so in one line and leaves them out; the module
 * then reports that it has no kernels.
 */
public class BuildCuda {
    /**
     * Arguments: the repository, the module's target folder, {@code kernels} or {@code emulator}, and the architectures
     * that kernels are compiled for, {@code all} or {@code checked}; all without them.
     */
    public static void main(String[] args) throws Exception {
        Path root = Path.of(args[0]).toRealPath();
        Path target = Path.of(args[1]).toAbsolutePath();
        if (!System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("linux")) {
            System.out.println("The CUDA kernels are left out: they are built on Linux.");
            return;
        }
        for (String tool : List.of("bash", "cmake", "g++")) {
            if (!found(tool)) {
                System.out.println("The CUDA kernels are left out: install " + tool + " to build them.");
                return;
            }
        }
        String toolchain = output(root, "bash", "ci/cuda-toolchain.sh", "--installed");
        if (toolchain.isEmpty()) {
            System.out.println("The CUDA kernels are left out: there is no nvcc; ci/cuda-toolchain.sh brings one.");
            return;
        }
        Path build = target.resolve("cmake");
        List<String> configure = new ArrayList<>(List.of(
                "cmake",
                "-S",
                root.resolve("cuda").toString(),
                "-B",
                build.toString(),
                "-DCMAKE_BUILD_TYPE=Release",
                "-DCMAKE_CXX_COMPILER=g++",
                "-DCUDA_ARCHITECTURES=" + (args.length > 3 ? args[3] : "all"),
                "-DCUDA_ROOT=" + toolchain));
        if (!Files.exists(build.resolve("CMakeCache.txt")) && found("ninja")) {
            configure.addAll(List.of("-G", "Ninja"));
        }
        run(configure.toArray(String[]::new));
        if (args[2].equals("emulator")) {
            run("cmake", "--build", build.toString(), "--target", "cuda", "cublas", "--parallel");
            copy(build, target.resolve("emulator"), ".so.1");
            copy(build, target.resolve("emulator-cublas"), ".so.12");
            return;
        }
        run("cmake", "--build", build.toString(), "--target", "fatbins", "--parallel");
        Path classes = target.resolve("classes/dev/demitasse/cuda");
        copy(build, classes, ".fatbin");
        copy(build, classes, "kernels.txt");
        deleteFatbinsWithoutSource(classes, root.resolve("cuda/kernels"));
    }

    private static void copy(Path from, Path to, String suffix) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(f -> f.toString().endsWith(suffix)).toList()) {
                Files.copy(file, to.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    /** What an earlier build made of a kernel file that is no more. */
    private static void deleteFatbinsWithoutSource(Path classes, Path kernels) throws IOException {
        try (Stream<Path> files = Files.list(classes)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".fatbin")).toList()) {
                String source = file.getFileName().toString().replaceAll("fatbin$", "cu");
                if (!Files.exists(kernels.resolve(source))) {
                    Files.delete(file);
                }
            }
        }
    }

    private static boolean found(String program) {
        return Stream.of(System.getenv("PATH").split(java.io.File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    /** The last line that a command prints; empty where it fails. */
    private static String output(Path directory, String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(process.getInputStream().readAllBytes()).strip();
        return process.waitFor() == 0 ? output.lines().reduce("", (a, b) -> b) : "";
    }

    /** Runs a command; its output is shown only where it fails. */
    private static void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) {
            System.err.println(output);
            throw new IOException("The CUDA build failed: " + String.join(" ", command));
        }
    }
}
