package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a file says of how tokens are chosen: which are never generated, and how they are sampled. */
class TokenChoiceMetadataTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(64);
    private static final String SUPPRESSED = "tokenizer.ggml.suppress_tokens";

    @TempDir
    Path folder;

    private Model load(Consumer<GgufWriter> change) throws IOException {
        return Model.load(ChangedFiles.changed(Golden.tiny("llama"), folder.resolve("changed.gguf"), change), OPTIONS);
    }

    private void assertRefused(String key, MetadataValue value, String words) {
        assertThatThrownBy(() -> load(w -> w.metadata(key, value)).close())
                .as("%s = %s", key, value)
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining(words);
    }

    private static MetadataValue number(Number value) {
        return MetadataValue.of(value instanceof Float ? MetadataType.FLOAT32 : MetadataType.INT32, value);
    }

    /** On devices that choose tokens themselves, and where the host sees logits. */
    @ParameterizedTest
    @ValueSource(ints = {0, 3})
    void suppressedTokensAreNotGenerated(int logprobs) throws IOException {
        GenerationOptions options = GenerationOptions.GREEDY
                .withMaximumTokens(4)
                .withIgnoreEnd(true)
                .withLogprobs(logprobs);
        List<Integer> before;
        float[] logits;
        try (Model model = load(w -> {});
                Session session = model.newSession()) {
            before = session.generate("hello", options, text -> {}).tokens();
            logits = logitsOf(model);
        }
        int[] unwanted = {before.get(0), before.get(2)};
        try (Model model = load(w -> w.metadata(SUPPRESSED, MetadataValue.array(MetadataType.INT32, unwanted)));
                Session session = model.newSession()) {
            Generation answer = session.generate("hello", options, text -> {});
            assertThat(answer.tokens()).hasSize(4).doesNotContain(unwanted[0], unwanted[1]);
            assertThat(logitsOf(model)).as("a text's scores").isEqualTo(logits);
        }
        assertRefused(SUPPRESSED, MetadataValue.array(MetadataType.INT32, new int[] {1, -1}), "lists -1");
    }

    private static float[] logitsOf(Model model) {
        List<float[]> all = new ArrayList<>();
        model.evaluate(new int[] {5, 6, 7}, 1, (position, logits) -> all.add(logits.clone()));
        return all.getLast();
    }

    @Test
    void samplingIsAsTheFileSays() throws IOException {
        try (Model model = load(w -> w.metadata("general.sampling.temp", number(0.25f))
                .metadata("general.sampling.top_k", number(-1))
                .metadata("general.sampling.penalty_last_n", number(-1)))) {
            assertThat(model.sampling().temperature()).isEqualTo(0.25f);
            assertThat(model.sampling().topK()).isZero();
            assertThat(model.sampling().topP()).isEqualTo(SamplingOptions.DEFAULT.topP());
            assertThat(model.sampling().penaltyWindow()).isGreaterThan(1_000_000);
        }
        assertRefused("general.sampling.top_p", number(1.5f), "general.sampling.top_p");
        assertRefused("general.sampling.temp", number(-1f), "general.sampling.temp");
        assertRefused("general.sampling.penalty_repeat", number(0f), "general.sampling.penalty_repeat");
    }

    /** A chat for which nobody says how is by the file's sampling, here without chance. */
    @Test
    void aPlainChatIsSampledAsTheFileSays() throws IOException {
        Path file = ChangedFiles.changed(
                Golden.tiny("llama"),
                folder.resolve("greedy.gguf"),
                w -> w.metadata("general.sampling.temp", number(0f)));
        try (Model model = Model.load(file, OPTIONS.withChatTemplate("{{ messages[-1].content }}"));
                Session plain = model.newSession();
                Session greedy = model.newSession()) {
            assertThat(model.generationOptions().maximumTokens()).isEqualTo(GenerationOptions.DEFAULT.maximumTokens());
            assertThat(plain.chat("hello").tokens())
                    .isEqualTo(greedy.chat("hello", GenerationOptions.GREEDY, text -> {})
                            .tokens());
        }
    }
}
