package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.testkit.Golden;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelSizeTest {
    private static ModelSize size(String tiny) {
        try (Gguf file = Gguf.open(Golden.tiny(tiny))) {
            return ModelSize.of(file);
        }
    }

    /** One layer of four has a cache: a head of 32 keys and values; three have 3 rows of 128 and 4 heads of 16 × 16. */
    @Test
    void statesAreToldBesideTheCache() {
        ModelSize size = size("qwen35");
        assertThat(size.cacheBytesPerPosition()).isEqualTo(2 * 32 * 2);
        assertThat(size.stateBytes()).isEqualTo(3 * 3 * (3 * 128 + 4 * 16 * 16) * 4);
        assertThat(size("llama").stateBytes()).isZero();
    }

    /** A block that predicts further tokens is no part of a pass; what it takes is told apart. */
    @Test
    void aDraftBlockIsToldApart() {
        ModelSize size = size("qwen35-mtp");
        assertThat(size.parameters()).isEqualTo(size("qwen35").parameters());
        assertThat(size.activeParameters()).isEqualTo(size("qwen35").activeParameters());
        assertThat(size.cacheBytesPerPosition()).isEqualTo(2 * 2 * 32 * 2);
        long norms = 7 * 32;
        long attention = 32 * 128 + 2 * 32 * 32 + 64 * 32;
        assertThat(size.draftBytes()).isEqualTo(4 * (norms + attention + 3 * 32 * 64 + 64 * 32));
        assertThat(size("qwen35").draftBytes()).isZero();
    }

    /** Two of three experts are a token's, and one row of the table of tokens. */
    @Test
    void expertsThatATokenHasNotAreNotActive() {
        ModelSize size = size("qwen35moe");
        long expert = 3L * 32 * 32;
        long others = 268 * 32;
        assertThat(size.parameters() - size.activeParameters()).isEqualTo(4 * expert + others);
        assertThat(size.bytesPerToken()).isEqualTo(4 * size.activeParameters());
        ModelSize tied = size("lfm2");
        assertThat(tied.activeParameters()).as("the table is the output matrix").isEqualTo(tied.parameters());
    }

    /** What would be scaled wrongly is not told to whoever scales. */
    @ParameterizedTest
    @ValueSource(strings = {"cohere2", "gemma4-dense", "gemma4-ple", "nemotron_h", "qwen3moe"})
    void dimensionsOfWhatCannotBeScaledAreRefused(String name) {
        try (Gguf file = Gguf.open(Golden.tiny(name))) {
            assertThatThrownBy(() -> ModelShape.of(file)).isInstanceOf(UnsupportedModelException.class);
        }
    }
}
