package dev.demitasse.nativecpu;

import dev.demitasse.CacheFolder;
import dev.demitasse.device.Support;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Brings the library of this platform from the class path into the process: checks its hash, extracts it once to a
 * folder that is named after the hash, and loads it. Several processes may do so at once: each writes a file of its own
 * and moves it into place. Whatever goes wrong is a reason, never an exception.
 */
final class NativeLibrary {
    /** The variable that names the folder for extracted libraries. */
    static final String FOLDER_VARIABLE = "DEMITASSE_NATIVE_CACHE";
    /** The system property that does so, and goes before it. */
    static final String FOLDER_PROPERTY = "demitasse.native.cache";

    private static final String CURE = "set " + FOLDER_VARIABLE + ", or the system property " + FOLDER_PROPERTY
            + ", to a folder that may be written to and holds executable files";

    private static @Nullable Support loaded;

    private final ClassLoader resources;
    private final String platform;
    private final List<Path> folders;

    /**
     * A library to be loaded.
     *
     * @param resources where its resources are
     * @param platform operating system and architecture, as {@code linux-x86_64}
     * @param folders where it may be extracted to, tried in order
     */
    NativeLibrary(ClassLoader resources, String platform, List<Path> folders) {
        this.resources = resources;
        this.platform = platform;
        this.folders = folders;
    }

    /** Loads the library of this process, once. */
    static synchronized Support load() {
        Support known = loaded;
        if (known == null) {
            known = new NativeLibrary(
                            NativeLibrary.class.getClassLoader(),
                            platform(),
                            folders(System.getenv(), System.getProperty(FOLDER_PROPERTY)))
                    .tryLoad();
            loaded = known;
        }
        return known;
    }

    static String platform() {
        return platform(System.getProperty("os.name", ""), System.getProperty("os.arch", ""));
    }

    /** Operating system and architecture as the libraries' folders name them, of Java's names for them. */
    static String platform(String os, String arch) {
        String system = os.toLowerCase(Locale.ROOT).replace(" ", "");
        String family = system.startsWith("mac") ? "macos" : system.startsWith("windows") ? "windows" : system;
        return family + "-" + arch.replace("amd64", "x86_64").replace("arm64", "aarch64");
    }

    /** The one that is chosen; else the user's cache, then the folder for temporary files. */
    static List<Path> folders(Map<String, String> environment, @Nullable String property) {
        boolean said = property != null && !property.isEmpty();
        String chosen = said ? property : environment.get(FOLDER_VARIABLE);
        if (chosen != null && !chosen.isEmpty()) {
            return List.of(Path.of(chosen));
        }
        Path temporary = Path.of(
                System.getProperty("java.io.tmpdir", "."), "demitasse-" + System.getProperty("user.name", "user"));
        return List.of(CacheFolder.path(environment).resolve("native"), temporary);
    }

    /** Extracts and loads the library. */
    Support tryLoad() {
        String name = System.mapLibraryName("demitasse");
        String path = "dev/demitasse/nativecpu/" + platform + "/" + name;
        byte[] library;
        String expected;
        try {
            library = read(path);
            byte[] hash = read(path + ".sha256");
            if (library == null || hash == null) {
                return Support.no(
                        "the jar demitasse-native has no library for " + platform,
                        "use a release's jar, or install a C++20 compiler and CMake and build again");
            }
            expected = new String(hash, StandardCharsets.US_ASCII).strip();
        } catch (IOException e) {
            return Support.no("the native library cannot be read from its jar: " + e, "check the jar");
        }
        List<String> failures = new ArrayList<>();
        for (Path folder : folders) {
            String failure;
            try {
                failure = loadFrom(
                        folder.resolve(expected.substring(0, Math.min(16, expected.length()))),
                        name,
                        library,
                        expected);
            } catch (IllegalCallerException e) {
                return Support.noNativeAccess(e, NativeLibrary.class);
            }
            if (failure == null) {
                return Support.yes("C++ kernels for " + platform);
            }
            failures.add(folder + ": " + failure);
        }
        return Support.no("the native library cannot be loaded (" + String.join("; ", failures) + ")", CURE);
    }

    /** Null, or why the library was not loaded from a folder. */
    private static @Nullable String loadFrom(Path folder, String name, byte[] library, String expected) {
        Path file = folder.resolve(name);
        try {
            // What was extracted before had the right hash then; that it is still the same is quicker to see than a
            // hash.
            if (!Files.isRegularFile(file) || !Arrays.equals(Files.readAllBytes(file), library)) {
                if (!hash(library).equals(expected)) {
                    return "the library in the jar is damaged: its hash is not " + expected;
                }
                Files.createDirectories(folder);
                Path own = Files.createTempFile(folder, name, ".part");
                try {
                    Files.write(own, library);
                    Files.move(own, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                } finally {
                    Files.deleteIfExists(own);
                }
            }
        } catch (IOException e) {
            return "cannot be written: " + e;
        }
        try {
            load(file);
            return mismatch(Kernels.boundaryFingerprint());
        } catch (UnsatisfiedLinkError e) {
            return String.valueOf(e.getMessage());
        } catch (IOException e) {
            return "cannot be written: " + e;
        }
    }

    /** A file is of one class loader alone: another one, of an application that was deployed anew, gets a copy. */
    private static void load(Path file) throws IOException {
        try {
            System.load(file.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            if (!String.valueOf(e.getMessage()).contains("already loaded in another classloader")) {
                throw e;
            }
            Path copy = Files.createTempFile(
                    file.toAbsolutePath().getParent(), "", file.getFileName().toString());
            try {
                Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
                System.load(copy.toString());
            } finally {
                delete(copy); // what is loaded stays
            }
        }
    }

    /** Now, or where the system keeps a file that is loaded (Windows) when the process ends. */
    private static void delete(Path copy) {
        try {
            Files.deleteIfExists(copy);
        } catch (IOException e) {
            copy.toFile().deleteOnExit();
        }
    }

    /** Null, or how a library of other sources than these classes is refused. */
    static @Nullable String mismatch(long fingerprint) {
        return fingerprint == Boundary.FINGERPRINT
                ? null
                : String.format(
                        "it was built from other sources than the classes: its boundary is %015x, theirs %015x",
                        fingerprint, Boundary.FINGERPRINT);
    }

    private byte @Nullable [] read(String path) throws IOException {
        try (InputStream in = resources.getResourceAsStream(path)) {
            return in == null ? null : in.readAllBytes();
        }
    }

    private static String hash(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java platform has SHA-256
        }
    }
}
