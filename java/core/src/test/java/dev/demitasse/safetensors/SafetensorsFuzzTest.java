package dev.demitasse.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.demitasse.exception.DemitasseException;
import java.lang.foreign.MemorySegment;

/** The fuzz target of the other file format; it searches as that of GGUF does, with {@code JAZZER_FUZZ=1}. */
class SafetensorsFuzzTest {
    @FuzzTest(maxDuration = "5m")
    void parses(byte[] bytes) {
        try (Safetensors file = Safetensors.parse("fuzz", MemorySegment.ofArray(bytes))) {
            for (SafetensorsTensor tensor : file.tensors()) {
                assertThat(tensor.data().asByteBuffer().remaining()).isNotNegative();
            }
        } catch (DemitasseException e) {
            // the typed exception: what is asked for
        }
    }
}
