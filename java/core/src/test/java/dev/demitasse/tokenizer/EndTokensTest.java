package dev.demitasse.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which tokens end a turn, by their names and by the keys that files have for them. */
class EndTokensTest {
    private static Vocabulary vocabulary(String name, String key) {
        Map<String, MetadataValue> values = new LinkedHashMap<>();
        values.put(
                "tokenizer.ggml.tokens", MetadataValue.array(MetadataType.STRING, new String[] {"a", "b", name, "c"}));
        values.put("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, new int[] {1, 1, 1, 1}));
        if (!key.isEmpty()) {
            values.put("tokenizer.ggml." + key, MetadataValue.of(MetadataType.UINT32, 2));
        }
        return new Vocabulary(new Metadata("test", values));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<|eot_id|>",
                "<|im_end|>",
                "<|end|>",
                "<end_of_turn>",
                "<turn|>",
                "<|tool_response>",
                "<|endoftext|>",
                "<|eom_id|>",
                "<|end_of_text|>",
                "<|return|>",
                "<|call|>",
                "<end_of_utterance>",
                "[EOT]",
                "[EOS]",
                "<EOT>",
                "_<EOT>"
            })
    void tokensThatEndATurnAreKnownByTheirNames(String name) {
        Vocabulary vocabulary = vocabulary(name, "");
        assertThat(vocabulary.isEnd(2)).isTrue();
        assertThat(vocabulary.isControl(2)).as("nobody writes it as text").isTrue();
        assertThat(vocabulary.isEnd(1)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"eos_token_id", "eot_token_id", "eom_token_id"})
    void tokensThatEndATurnAreKnownByTheFilesKeys(String key) {
        assertThat(vocabulary("<over>", key).isEnd(2)).isTrue();
        assertThat(vocabulary("<over>", "").isEnd(2)).isFalse();
    }
}
