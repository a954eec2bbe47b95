package dev.demitasse.nativecpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.cpu.PackedElement;
import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.cpu.ScaleType;
import dev.demitasse.device.OutputType;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.BoundaryGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Java and C++ must agree on is written once; a library of other headers is not used. */
class BoundaryTest {
    private static final String HEADERS = "native/include/demitasse/";

    @TempDir
    Path folder;

    @Test
    void enumsOfBothSidesHaveTheSameConstants() {
        BoundaryGenerator.requireNumbers(PackedElement.values(), Boundary.Element::of, Boundary.Element.COUNT);
        BoundaryGenerator.requireNumbers(ScaleType.values(), Boundary.ScaleType::of, Boundary.ScaleType.COUNT);
        BoundaryGenerator.requireNumbers(OutputType.values(), Boundary.OutputType::of, Boundary.OutputType.COUNT);
        BoundaryGenerator.requireNumbers(KvType.values(), Boundary.KvType::of, Boundary.KvType.COUNT);
        BoundaryGenerator.requireNumbers(
                InstructionSet.values(), Boundary.InstructionSet::of, Boundary.InstructionSet.COUNT);
    }

    /** What CPU devices share in Java is what the headers say. */
    @Test
    void panelsAndPagesAreThoseOfTheHeaders() {
        assertThat(PackedMatrix.PANEL).isEqualTo(Boundary.PANEL);
        assertThat(PackedMatrix.COLUMN_MULTIPLE).isEqualTo(Boundary.GROUP);
        assertThat(KvShape.PAGE).isEqualTo(Boundary.PAGE);
        assertThat(KvShape.SCALE_GROUP).isEqualTo(Boundary.SCALE_GROUP);
        assertThat(Boundary.GroupActivation.INTS * Integer.BYTES).isEqualTo(Boundary.GROUP_ACTIVATION_BYTES);
    }

    @Test
    void theLibraryIsOfTheHeadersThatTheClassesAreOf() throws Exception {
        Assumptions.assumeTrue(NativeLibrary.load().ok(), "the native library is not built, or not for this machine");
        assertThat(Kernels.boundaryFingerprint()).isEqualTo(Boundary.FINGERPRINT);
        assertThat(generated("F32, F16, BF16", "F32, F16, BF16"))
                .contains(String.format("FINGERPRINT = 0x%015xL", Boundary.FINGERPRINT));
    }

    @Test
    void aReorderedEnumMovesItsNumbersAndIsRefusedAtTheLoad() throws Exception {
        requireRefused("OutputType : int64_t { F32, F16, BF16 }", "OutputType : int64_t { F16, F32, BF16 }");
    }

    @Test
    void aReorderedFieldMovesItsIndexAndIsRefusedAtTheLoad() throws Exception {
        String text = requireRefused("int64_t heads;\n    int64_t head_dim;", "int64_t head_dim;\n    int64_t heads;");
        assertThat(text)
                .contains("HEAD_DIM = " + Boundary.RopeArgs.HEADS)
                .contains("HEADS = " + Boundary.RopeArgs.HEAD_DIM);
    }

    /** Makes a library's fingerprint of changed headers; returns the generated class. */
    private String requireRefused(String before, String after) throws Exception {
        String text = generated(before, after);
        long fingerprint = BoundaryGenerator.fingerprint(text);
        assertThat(fingerprint).isNotEqualTo(Boundary.FINGERPRINT);
        assertThat(NativeLibrary.mismatch(fingerprint)).contains("other sources than the classes");
        assertThat(NativeLibrary.mismatch(Boundary.FINGERPRINT)).isNull();
        return text;
    }

    private String generated(String before, String after) throws IOException, InterruptedException {
        Path changed = folder.resolve("command.h");
        String command = Files.readString(BoundaryGenerator.source(HEADERS + "command.h"));
        assertThat(command).contains(before);
        Files.writeString(changed, command.replace(before, after));
        return BoundaryGenerator.run(
                folder, "dev.demitasse.nativecpu", List.of(changed, BoundaryGenerator.source(HEADERS + "demitasse.h")));
    }
}
