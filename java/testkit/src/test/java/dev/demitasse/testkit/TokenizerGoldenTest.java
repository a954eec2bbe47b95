package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.tokenizer.TokenDecoder;
import dev.demitasse.tokenizer.Tokenizer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerGoldenTest {
    @ParameterizedTest
    @ValueSource(strings = {"SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m"})
    void encodesTheGoldenTextsExactly(String model) {
        try (Gguf file = Gguf.open(Golden.model(model + ".gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            for (JsonNode row : Golden.lines("models/" + model + ".tokenize.jsonl")) {
                boolean special = row.path("special").asBoolean(false);
                assertThat(tokenizer.encode(row.get("text").asText(), special))
                        .as(row.get("text").asText())
                        .isEqualTo(Golden.ints(row.get("tokens")));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m"})
    void decodesWhatItEncoded(String model) {
        try (Gguf file = Gguf.open(Golden.model(model + ".gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            for (JsonNode row : Golden.lines("models/" + model + ".tokenize.jsonl")) {
                if (row.path("special").asBoolean(false)) {
                    continue;
                }
                String text = row.get("text").asText();
                TokenDecoder decoder = tokenizer.decoder();
                StringBuilder decoded = new StringBuilder();
                for (int id : tokenizer.encode(text, false)) {
                    String piece = decoder.append(id);
                    assertThat(piece).doesNotContain("\uFFFD");
                    decoded.append(piece);
                }
                assertThat(decoded.append(decoder.finish()).toString()).isEqualTo(text);
            }
        }
    }
}
