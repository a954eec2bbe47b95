package dev.demitasse.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PreTokenizerTest {
    /**
     * Splitters by case, whose golden pieces come from patterns that know the case of ASCII letters alone and no
     * marks: they differ from those that the models were trained with wherever a text has other ones.
     */
    private static final Set<String> BY_CASE = Set.of("tekken", "gpt-4o");

    private record Row(List<String> names, String text, List<String> pieces) {}

    /** The golden pieces of every splitter. */
    @Test
    void splitsAsTheGoldenPiecesSay() throws IOException {
        int compared = 0;
        for (String line : Files.readAllLines(Golden.shared("tokenizers/pre-tokenizers.split.jsonl"))) {
            Row row = parse(line);
            if (BY_CASE.contains(row.names.getFirst()) && !row.text.chars().allMatch(c -> c < 128)) {
                continue;
            }
            for (String name : row.names) {
                assertThat(PreTokenizer.named(name).split(row.text))
                        .as("%s: %s", name, row.text)
                        .isEqualTo(row.pieces);
                compared++;
            }
        }
        assertThat(compared).isGreaterThan(6_000);
    }

    private static Row parse(String line) throws IOException {
        List<String> names = new ArrayList<>();
        List<String> pieces = new ArrayList<>();
        String text = "";
        try (JsonParser parser = new JsonFactory().createParser(line)) {
            while (parser.nextToken() != null) {
                if (parser.currentToken() != JsonToken.VALUE_STRING) {
                    continue;
                }
                switch (String.valueOf(
                        parser.currentName() == null
                                ? parser.getParsingContext().getParent().getCurrentName()
                                : parser.currentName())) {
                    case "text" -> text = parser.getText();
                    case "pre" -> names.add(parser.getText());
                    case "pieces" -> pieces.add(parser.getText());
                    default -> {}
                }
            }
        }
        return new Row(names, text, pieces);
    }

    /** Marks belong to their words, and capitals are capitals in every script (the pattern of Mistral's Tekken). */
    @Test
    void tekkenKnowsMarksAndCapitalsOfAllScripts() {
        PreTokenizer tekken = PreTokenizer.named("tekken");
        for (String word : List.of("हिन्दी", "தமிழ்", "العَرَبِيَّة", "cafe\u0301", "ÉCOLE", "Ĳsselmeer")) {
            assertThat(tekken.split(word)).as(word).containsExactly(word);
        }
        assertThat(tekken.split("camelCase ÉcoleÉ 12")).containsExactly("camel", "Case", " École", "É", " ", "1", "2");
    }

    @Test
    void longTextsNeedNoDeepStack() throws InterruptedException {
        for (String name : List.of(
                "gpt-2",
                "llama-bpe",
                "tekken",
                "gpt-4o",
                "kimi-k2",
                "exaone-moe",
                "deepseek-v3",
                "default",
                "afmoe",
                "superbpe",
                "jais-2",
                "youtu",
                "tiny_aya",
                "spark2_5",
                "gemma4")) {
            for (String unit : List.of("a", "a ", " ", "\n", "Aé", "漢字", "!", "1", "\u0301")) {
                String text = unit.repeat(100_000);
                List<String> pieces = new ArrayList<>();
                Thread small = new Thread(
                        null, () -> pieces.addAll(PreTokenizer.named(name).split(text)), "small", 256 << 10);
                small.start();
                small.join();
                assertThat(String.join("", pieces).length())
                        .as("%s, %s", name, unit)
                        .isEqualTo(text.length());
            }
        }
    }

    @Test
    void namesWhatIsSupported() {
        assertThatThrownBy(() -> PreTokenizer.named("none"))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("deepseek-r1-qwen");
    }
}
