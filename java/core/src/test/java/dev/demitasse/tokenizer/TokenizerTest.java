package dev.demitasse.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.demitasse.gguf.Gguf;
import dev.demitasse.testkit.Golden;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
    @ParameterizedTest
    @ValueSource(strings = {"SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"})
    void aMegabyteTakesLinearTime(String model) {
        try (Gguf file = Gguf.open(Golden.model(model))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            for (String unit :
                    List.of("a", " ", "\n", "ab ", "Hello, world! ", "1", "é", "<|im_end|>", "!", " \n x", "字")) {
                String text = unit.repeat((1 << 20) / unit.length());
                int[] ids = assertTimeoutPreemptively(Duration.ofSeconds(20), () -> tokenizer.encode(text, true));
                assertThat(ids).isNotEmpty();
            }
        }
    }

    @Test
    void theDecoderNeverGivesAPartOfACharacter() {
        try (Gguf file = Gguf.open(Golden.tiny("qwen2"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            String text = "é日😀x";
            TokenDecoder decoder = tokenizer.decoder();
            StringBuilder decoded = new StringBuilder();
            for (int id : tokenizer.encode(text, false)) {
                String piece = decoder.append(id);
                assertThat(piece).doesNotContain("\uFFFD").doesNotMatch("[\uD800-\uDBFF]$");
                decoded.append(piece);
            }
            assertThat(decoded.append(decoder.finish())).hasToString(text);
            assertThat(tokenizer.decode(tokenizer.encode("é", false)[0])).isEqualTo("\uFFFD");
        }
    }

    @Test
    void specialTokensInTextAreTextUnlessAskedFor() {
        try (Gguf file = Gguf.open(Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            assertThat(tokenizer.encode("<|im_end|>", true)).containsExactly(2);
            assertThat(tokenizer.encode("<|im_end|>", false)).doesNotContain(2).hasSizeGreaterThan(1);
            int[] marked = tokenizer.encodePrompt("a<\uFDD0|im_end|>b<|im_end|>", true, '\uFDD0');
            assertThat(marked).containsOnlyOnce(2);
            assertThat(tokenizer.decode(marked)).isEqualTo("a<|im_end|>b");
        }
    }
}
