package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What files say of latent attention, beyond what the golden model has. */
class LatentAttentionTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(64).withKvType(KvType.F32);

    @TempDir
    Path folder;

    private Path changed(Consumer<GgufWriter> change) throws IOException {
        return ChangedFiles.changed(Golden.tiny("deepseek2"), folder.resolve("changed.gguf"), change);
    }

    private static MetadataValue number(int value) {
        return MetadataValue.of(MetadataType.UINT32, value);
    }

    private static MetadataValue number(float value) {
        return MetadataValue.of(MetadataType.FLOAT32, value);
    }

    /** Logits of an independent forward pass in FP64. */
    @Test
    void yarnChangesTheScaleOfAttentionAndNotTheLengthOfHeads() throws IOException {
        String scaling = "deepseek2.rope.scaling.";
        Path file = changed(writer -> writer.metadata(scaling + "type", MetadataValue.of(MetadataType.STRING, "yarn"))
                .metadata(scaling + "factor", number(4f))
                .metadata(scaling + "original_context_length", number(1024))
                .metadata(scaling + "yarn_log_multiplier", number(0.0707f)));
        assertFirstLogits(file, 0.262414f, -1.007772f, -2.219939f, 0.767334f, 0.168799f, -0.68056f);
        assertFirstLogits(
                Golden.tiny("deepseek2"), 0.342124f, -0.923814f, -1.936572f, 0.836774f, -0.040522f, -0.661512f);
    }

    private static void assertFirstLogits(Path file, float... expected) {
        int[] tokens = new int[40];
        Arrays.setAll(tokens, i -> (i * 37 + 5) % 256);
        try (Model model = Model.load(file, OPTIONS)) {
            model.evaluate(
                    tokens,
                    tokens.length - 1,
                    (position, logits) -> assertThat(Arrays.copyOf(logits, expected.length))
                            .containsExactly(expected, Offset.offset(1e-4f)));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "attention.key_length, 33",
        "attention.key_length, 24",
        "attention.key_length, 2147483646",
        "attention.value_length, 32",
        "attention.kv_lora_rank, 0",
        "attention.kv_lora_rank, 32",
        "attention.kv_lora_rank, -1",
        "attention.key_length_mla, 8",
        "attention.key_length_mla, 2147483647",
        "attention.key_length_mla, 26",
        "attention.value_length_mla, 0",
        "attention.value_length_mla, 17",
        "attention.q_lora_rank, 31",
        "attention.q_lora_rank, -1",
        "attention.head_count, 1000000",
        "attention.head_count_kv, 2",
        "rope.dimension_count, 6",
        "expert_group_count, 2",
        "expert_group_count, 2147483647",
        "expert_group_count, 5"
    })
    void numbersThatCannotBeAreRefused(String key, int value) throws IOException {
        Path file = changed(writer -> writer.metadata("deepseek2." + key, MetadataValue.of(MetadataType.INT32, value)));
        assertThatThrownBy(() -> Model.load(file, OPTIONS).close())
                .isInstanceOf(ModelFormatException.class)
                .message()
                .isNotBlank();
    }

    @Test
    void filesWithTheMatricesOfKeysAndValuesInOneAreRefusedWithTheCure() throws IOException {
        Path file = ChangedFiles.changed(
                Golden.tiny("llama"),
                folder.resolve("old.gguf"),
                writer -> writer.metadata("general.architecture", MetadataValue.of(MetadataType.STRING, "deepseek2"))
                        .metadata("deepseek2.block_count", number(2))
                        .metadata("deepseek2.context_length", number(64))
                        .metadata("deepseek2.embedding_length", number(32))
                        .metadata("deepseek2.feed_forward_length", number(64))
                        .metadata("deepseek2.attention.head_count", number(4)));
        assertThatThrownBy(() -> Model.load(file, OPTIONS).close())
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("attn_kv_b")
                .hasMessageContaining("convert the model anew");
    }
}
