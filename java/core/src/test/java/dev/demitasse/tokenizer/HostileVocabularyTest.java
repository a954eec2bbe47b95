package dev.demitasse.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Vocabularies that would take for ever, or all memory. */
class HostileVocabularyTest {
    private static Map<String, MetadataValue> vocabulary(String model, String... tokens) {
        Map<String, MetadataValue> values = new LinkedHashMap<>();
        int[] types = new int[tokens.length];
        Arrays.fill(types, 1);
        types[0] = 2; // unknown
        values.put("tokenizer.ggml.model", MetadataValue.of(MetadataType.STRING, model));
        values.put("tokenizer.ggml.tokens", MetadataValue.array(MetadataType.STRING, tokens));
        values.put("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, types));
        values.put("tokenizer.ggml.scores", MetadataValue.array(MetadataType.FLOAT32, new float[tokens.length]));
        values.put("tokenizer.ggml.unknown_token_id", MetadataValue.of(MetadataType.UINT32, 0));
        return values;
    }

    @ParameterizedTest
    @ValueSource(strings = {"bert", "t5"})
    void aTokenOfAMegabyteCostsNothing(String model) {
        String text = "a".repeat(1 << 20);
        Tokenizer tokenizer =
                Tokenizer.of(new Metadata("test", vocabulary(model, "<unk>", "\u2581", "a", "\u2581a", text)));
        int[] ids = assertTimeoutPreemptively(Duration.ofSeconds(20), () -> tokenizer.encode(text, false));
        assertThat(ids).hasSize(1 << 20);
    }

    /** A map whose trie has the byte "a" alone, and its replacement. */
    private static byte[] map(int replacement) {
        ByteBuffer map = ByteBuffer.allocate(4 + 4 * 512 + replacement + 1).order(ByteOrder.LITTLE_ENDIAN);
        map.putInt(4 * 512);
        map.putInt(256 << 10); // the root's children lie from 256
        map.putInt(4 + 4 * (256 ^ 'a'), 1 << 10 | 0x100 | 'a'); // a value follows, at the unit with its offset's bits
        Arrays.fill(map.array(), 4 + 4 * 512, map.capacity() - 1, (byte) 'b');
        return map.array();
    }

    @Test
    void aReplacementCannotFillTheMemory() {
        Map<String, MetadataValue> values = vocabulary("t5", "<unk>", "\u2581", "a", "b");
        String key = "tokenizer.ggml.precompiled_charsmap";
        values.put(key, MetadataValue.array(MetadataType.INT8, map(65)));
        assertThatThrownBy(() -> Tokenizer.of(new Metadata("test", values)))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("more than 64 bytes");
        values.put(key, MetadataValue.array(MetadataType.INT8, map(64)));
        Tokenizer tokenizer = Tokenizer.of(new Metadata("test", values));
        assertThat(tokenizer.encode("a", false)).hasSize(65).endsWith(3);
    }

    /** gpt-oss answers in several messages; elsewhere the same token ends the turn. */
    @Test
    void theEndOfOneMessageOfSeveralIsNoEnd() {
        Vocabulary several =
                new Vocabulary(new Metadata("test", vocabulary("gpt2", "<|end|>", "<|return|>", "<|call|>", "a")));
        assertThat(new boolean[] {several.isEnd(0), several.isEnd(1), several.isEnd(2), several.isEnd(3)})
                .containsExactly(false, true, true, false);
        assertThat(several.isControl(0)).isTrue();
        Vocabulary one = new Vocabulary(new Metadata("test", vocabulary("gpt2", "<|end|>", "a")));
        assertThat(one.isEnd(0)).isTrue();
    }
}
