package dev.demitasse.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.BackendUnavailableException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

/** Programs are built once, kept, and built again where what was kept is of no use. */
@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class ProgramsTest {
    private static final Programs.Key ADD = new Programs.Key("add", "");

    @TempDir
    Path folder;

    @Test
    void aProgramIsKeptAndTakenFromThere() throws IOException {
        Path kept = build(ADD);
        byte[] before = Files.readAllBytes(kept);
        Files.setLastModifiedTime(kept, FileTime.fromMillis(0));
        assertThat(build(ADD)).isEqualTo(kept);
        assertThat(Files.getLastModifiedTime(kept).toMillis())
                .as("written again")
                .isZero();
        assertThat(Files.readAllBytes(kept)).isEqualTo(before);
    }

    @Test
    void otherMacrosAreAnotherProgram() throws IOException {
        Path plain = build(ADD);
        build(new Programs.Key("add", "-DOTHER=1"));
        assertThat(programs()).hasSize(2).contains(plain);
    }

    /** Bytes that changed, a file that was cut off, and one of another driver, whose hash is right. */
    @Test
    void whatIsDamagedIsBuiltAgain() throws IOException, NoSuchAlgorithmException {
        Path kept = build(ADD);
        byte[] good = Files.readAllBytes(kept);
        byte[] changed = good.clone();
        changed[changed.length / 2] ^= 1;
        byte[] foreign = new byte[64];
        System.arraycopy(MessageDigest.getInstance("SHA-256").digest(new byte[32]), 0, foreign, 0, 32);
        for (byte[] bad : List.of(changed, Arrays.copyOf(good, 40), new byte[0], foreign)) {
            Files.write(kept, bad);
            assertThat(build(ADD)).isEqualTo(kept);
            assertThat(Files.readAllBytes(kept))
                    .as("after %d bytes", bad.length)
                    .isNotEqualTo(bad);
        }
    }

    @Test
    void aFolderThatCannotBeWrittenKeepsNothing() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        try (Opened opened = new Opened(file.resolve("programs"))) {
            assertThat(opened.programs.get(ADD)).isNotZero();
        }
        assertThat(file).isEmptyFile();
    }

    @Test
    void aFailureShowsTheCompilersLog() throws IOException {
        try (Opened opened = new Opened(folder)) {
            assertThatThrownBy(() -> opened.programs.get(new Programs.Key("add", "-Dlong=nothing_known")))
                    .isInstanceOf(BackendUnavailableException.class)
                    .hasMessageContaining("does not compile add (")
                    .hasMessageContaining("nothing_known")
                    .hasMessageContaining("error");
        }
        assertThat(programs()).isEmpty();
    }

    /** The file of the one program of this key. */
    private Path build(Programs.Key key) throws IOException {
        try (Opened opened = new Opened(folder)) {
            assertThat(opened.programs.get(key)).isNotZero();
        }
        return programs().getFirst();
    }

    private List<Path> programs() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".bin"))
                    .sorted()
                    .toList();
        }
    }

    private static final class Opened implements AutoCloseable {
        final OpenClContext context;
        final Programs programs;

        Opened(Path folder) {
            DeviceInfo device = Loader.devices().getFirst();
            context = new OpenClContext(device);
            programs = new Programs(context, new ProgramCache(device, folder), device.kernels());
        }

        @Override
        public void close() {
            programs.close();
            context.close();
        }
    }
}
