package dev.demitasse.nativecpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.Support;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever is wrong with the library is a reason and a cure; two at once do not disturb each other. */
class NativeLibraryTest {
    private static final String NAME = System.mapLibraryName("demitasse");

    @TempDir
    Path folder;

    /** Resources that are not what they should be. */
    private static ClassLoader resources(Map<String, byte[]> files) {
        return new ClassLoader(null) {
            @Override
            public @Nullable InputStream getResourceAsStream(String name) {
                byte[] content = files.get(name.substring(name.lastIndexOf('/') + 1));
                return content == null ? null : new ByteArrayInputStream(content);
            }
        };
    }

    private Support load(Map<String, byte[]> files, Path... folders) {
        return new NativeLibrary(resources(files), "linux-x86_64", List.of(folders)).tryLoad();
    }

    private static Map<String, byte[]> real() throws IOException {
        String path = "dev/demitasse/nativecpu/" + NativeLibrary.platform() + "/" + NAME;
        ClassLoader loader = NativeLibrary.class.getClassLoader();
        Assumptions.assumeTrue(
                loader.getResource(path) != null,
                "the native library is not built: CMake or a C++ compiler is missing");
        try (InputStream library = loader.getResourceAsStream(path);
                InputStream hash = loader.getResourceAsStream(path + ".sha256")) {
            return Map.of(NAME, library.readAllBytes(), NAME + ".sha256", hash.readAllBytes());
        }
    }

    private static byte[] library() throws IOException {
        return Objects.requireNonNull(real().get(NAME)).clone();
    }

    private static Map<String, byte[]> damaged(byte[] library) throws IOException {
        return Map.of(NAME, library, NAME + ".sha256", Objects.requireNonNull(real().get(NAME + ".sha256")));
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void platformsAreNamedAsTheFoldersOfLibraries() {
        assertThat(NativeLibrary.platform("Linux", "amd64")).isEqualTo("linux-x86_64");
        assertThat(NativeLibrary.platform("Mac OS X", "aarch64")).isEqualTo("macos-aarch64");
        assertThat(NativeLibrary.platform("Windows 11", "amd64")).isEqualTo("windows-x86_64");
        assertThat(NativeLibrary.platform("FreeBSD", "arm64")).isEqualTo("freebsd-aarch64");
    }

    @Test
    void aMissingLibraryNamesThePlatformAndTheCure() {
        Support support = load(Map.of(), folder);
        assertThat(support.ok()).isFalse();
        assertThat(support.reason()).contains("linux-x86_64");
        assertThat(support.cure()).contains("release").contains("CMake");
    }

    @Test
    void aDamagedJarIsNotExtracted() throws IOException {
        byte[] library = library();
        library[1000] ^= 1;
        Support support = load(damaged(library), folder);
        assertThat(support.ok()).isFalse();
        assertThat(support.reason()).contains("damaged");
        assertThat(files(folder)).isEmpty();
    }

    @Test
    void aLibraryOfAnotherArchitectureIsAReason() throws Exception {
        byte[] other = text("\u007fELF of another machine");
        String hash = java.util.HexFormat.of()
                .formatHex(java.security.MessageDigest.getInstance("SHA-256").digest(other));
        Support support = load(Map.of(NAME, other, NAME + ".sha256", text(hash)), folder);
        assertThat(support.ok()).isFalse();
        assertThat(support.cure()).contains(NativeLibrary.FOLDER_VARIABLE);
    }

    @Test
    void aFolderThatCannotBeWrittenLeadsToTheNextOne() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        assertThat(load(real(), file, folder.resolve("next")).ok()).isTrue();
        assertThat(load(real(), file.resolve("a"), file.resolve("b")).reason()).contains("cannot be written");
    }

    @Test
    void whatWasChangedAfterExtractionIsReplaced() throws IOException {
        assertThat(load(real(), folder).ok()).isTrue();
        Path extracted = files(folder).getFirst();
        Path aside = Files.move(extracted, folder.resolve("aside")); // it is mapped: never write to it in place
        Files.write(extracted, text("something else"));
        assertThat(load(real(), folder).ok()).isTrue();
        assertThat(Files.mismatch(extracted, aside)).isEqualTo(-1);
    }

    @Test
    void severalAtOnceLeaveOneWholeFile() throws Exception {
        Map<String, byte[]> files = real();
        try (ExecutorService executor = Executors.newFixedThreadPool(8)) {
            List<Callable<Support>> loads = new ArrayList<>();
            for (int i = 0; i < 16; i++) {
                loads.add(() -> load(files, folder));
            }
            for (Future<Support> future : executor.invokeAll(loads)) {
                assertThat(future.get().ok()).as(future.get().reason()).isTrue();
            }
        }
        assertThat(files(folder)).hasSize(1);
        assertThat(Files.readAllBytes(files(folder).getFirst())).isEqualTo(files.get(NAME));
    }

    @Test
    void theUsersCacheComesBeforeTheTemporaryFolder() {
        assertThat(NativeLibrary.folders(Map.of("XDG_CACHE_HOME", "/c"), null).getFirst())
                .isEqualTo(Path.of("/c/demitasse/native"));
        assertThat(NativeLibrary.folders(Map.of(NativeLibrary.FOLDER_VARIABLE, "/d"), ""))
                .containsExactly(Path.of("/d"));
        assertThat(NativeLibrary.folders(Map.of(NativeLibrary.FOLDER_VARIABLE, "/d"), "/e"))
                .as("the property goes before the variable")
                .containsExactly(Path.of("/e"));
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> paths = Files.walk(folder)) {
            return paths.filter(Files::isRegularFile).toList();
        }
    }

    /** As after an application was deployed anew: two class loaders have the library at once, and both compute. */
    @Test
    void aSecondClassLoaderGetsALibraryOfItsOwn() throws Exception {
        real(); // or the test is skipped
        List<URL> path = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            path.add(Path.of(entry).toUri().toURL());
        }
        for (int i = 0; i < 2; i++) {
            try (URLClassLoader loader =
                    new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
                Class<?> library = loader.loadClass(NativeLibrary.class.getName());
                assertThat(library).isNotSameAs(NativeLibrary.class);
                Method load = library.getDeclaredMethod("load");
                load.setAccessible(true);
                Object support = load.invoke(null);
                assertThat(support.getClass().getMethod("ok").invoke(support))
                        .as(support.toString())
                        .isEqualTo(true);
            }
        }
        assertThat(NativeLibrary.load().ok()).isTrue();
    }
}
