package dev.demitasse.gguf;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.tokenizer.Tokenizer;
import java.lang.foreign.MemorySegment;

/**
 * The fuzz target of the file format. In a test run it takes the seeds only; with {@code JAZZER_FUZZ=1} in the
 * environment it searches:
 * {@code JAZZER_FUZZ=1 mvn -pl java/core test -Dtest=GgufFuzzTest -Dsurefire.failIfNoSpecifiedTests=false}.
 */
class GgufFuzzTest {
    @FuzzTest(maxDuration = "5m")
    void parses(byte[] bytes) {
        try (Gguf gguf = Gguf.parse("fuzz", MemorySegment.ofArray(bytes))) {
            Tokenizer.of(gguf.metadata()).encode("a b", true);
        } catch (DemitasseException e) {
            // the typed exception: what is asked for
        }
    }
}
