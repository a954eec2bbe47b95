package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.demitasse.EmbeddingModel;
import dev.demitasse.EmbeddingOptions;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Reranker;
import dev.demitasse.Session;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every device must hold for whole models. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class ModelContractTest extends TypeContractTest {
    /** The architectures of the tiny models. */
    protected static final List<String> ARCHITECTURES = Golden.TINY;

    /** The tiny models with quantized matrices. */
    protected static final List<String> QUANTIZED = Golden.TINY_QUANTIZED;

    /** The models of embeddings and scores. */
    protected static final List<String> EMBEDDINGS = Golden.EMBEDDINGS;

    /** The types of caches. */
    protected static final List<KvType> CACHES = List.of(KvType.F32, KvType.F16, KvType.INT8, KvType.FP8, KvType.INT4);

    /** For one backend. */
    protected ModelContractTest(String backend) {
        super(backend);
    }

    /** Sequences of the test of batches; fewer where a device is slow because it is emulated. */
    protected int sequences() {
        return 8;
    }

    /** Tokens of answers that repeat themselves; fewer where a device is slow. */
    protected int repeated() {
        return 60;
    }

    /** Of the architectures with long contexts, those that are decoded from the first position on, which takes time. */
    protected List<String> decodedContexts() {
        return List.of();
    }

    /** Whether a model's batches are tested with one type of cache, another for the next model: all take long. */
    protected boolean isSlow() {
        return false;
    }

    private Stream<Arguments> batches() {
        return batches(Stream.concat(ARCHITECTURES.stream(), QUANTIZED.stream()).toList());
    }

    private Stream<Arguments> encoders() {
        return batches(EMBEDDINGS);
    }

    private Stream<Arguments> batches(List<String> models) {
        boolean all = !isSlow() || Boolean.getBoolean("demitasse.test.all-caches"); // asked for, where it is slow
        int types = CACHES.size();
        return IntStream.range(0, models.size() * types)
                .filter(i -> all || i % types == i / types % types)
                .mapToObj(i -> Arguments.of(models.get(i / types), CACHES.get(i % types)));
    }

    /** Positions of the test of long contexts: more than a segment of the device's attention. */
    protected int longContext() {
        return 1100;
    }

    /**
     * The golden tiny models: same tokens, log-probabilities within 1e-3; within 2e-3 for Gemma 2 and 3, whose GELU the
     * golden implementation looks up in a table of 16-bit numbers. {@code PeerRoundingTest} shows that nothing else is
     * behind it.
     */
    @ParameterizedTest
    @FieldSource("ARCHITECTURES")
    public void tinyModelsMatchTheGoldenAnswers(String architecture) {
        double tolerance = architecture.matches("gemma[23]") ? 2e-3 : 1e-3;
        assertGolden(Golden.tiny(architecture), Golden.tinyAnswer(architecture), options(), tolerance, true);
    }

    /** Quantized experts: within 1e-3 with exact activations, and within what rounding them makes on both sides. */
    @ParameterizedTest
    @FieldSource("QUANTIZED")
    public void quantizedTinyModelsMatchTheGoldenAnswers(String name) {
        ModelOptions exact = options().withDevice(device().withActivations(ActivationType.F32));
        ModelOptions rounded = options().withDevice(device().withActivations(ActivationType.INT8));
        assertGolden(Golden.tiny(name), Golden.tinyExactAnswer(name), exact, 1e-3, true);
        assertGolden(Golden.tiny(name), Golden.tinyAnswer(name), rounded, 0.25, false);
    }

    private EmbeddingOptions embeddings() {
        return EmbeddingOptions.DEFAULT
                .withBackend(backend)
                .withDevice(device())
                .withMaximumTokens(128)
                .withKvType(KvType.F32)
                .withNormalized(false);
    }

    /** The golden embeddings and scores, within 1e-4. */
    @ParameterizedTest
    @FieldSource("EMBEDDINGS")
    public void embeddingsMatchTheGoldenAnswers(String name) {
        List<JsonNode> answers = Golden.embeddingAnswers(name);
        List<int[]> texts = answers.stream()
                .map(answer -> Golden.ints(answer.get("tokens")))
                .toList();
        float[][] actual = embeddings(name, embeddings(), texts);
        for (int i = 0; i < answers.size(); i++) {
            JsonNode expected = answers.get(i).get("embedding");
            assertThat(actual[i]).hasSize(scores(name) ? 1 : expected.size());
            for (int c = 0; c < actual[i].length; c++) {
                assertThat((double) actual[i][c])
                        .as("text %d, number %d", i, c)
                        .isCloseTo(expected.get(c).asDouble(), org.assertj.core.data.Offset.offset(1e-4));
            }
        }
    }

    private static boolean scores(String name) {
        return name.endsWith("-rank") || name.endsWith("-reranker");
    }

    private static float[][] embeddings(String name, EmbeddingOptions options, List<int[]> texts) {
        if (scores(name)) {
            try (Reranker model = Reranker.load(Golden.embedding(name), options)) {
                float[] scores = model.scoreTokens(
                        texts.stream().map(Tokenizer.Pair::new).toList());
                float[][] rows = new float[scores.length][];
                for (int i = 0; i < scores.length; i++) {
                    rows[i] = new float[] {scores[i]};
                }
                return rows;
            }
        }
        try (EmbeddingModel model = EmbeddingModel.load(Golden.embedding(name), options)) {
            return model.embedTokens(texts);
        }
    }

    /** Texts alone and together, on one thread and on two, have the same embeddings to the bit. */
    @ParameterizedTest
    @MethodSource("encoders")
    public void embeddingsDoNotDependOnTheBatch(String name, KvType cache) {
        EmbeddingOptions options = embeddings().withKvType(cache);
        List<int[]> texts = prompts(sequences());
        List<float[]> alone = new ArrayList<>();
        for (int[] text : texts) {
            alone.add(embeddings(name, options.withDevice(threads(1)), List.of(text))[0]);
        }
        EmbeddingOptions together = options.withBatchRows(128).withDevice(threads(2));
        assertThat(embeddings(name, together, texts)).isDeepEqualTo(alone.toArray(float[][]::new));
    }

    /** Prompts alone, together, and in chunks of any length give the same tokens and the same bits. */
    @ParameterizedTest
    @MethodSource("batches")
    public void resultsDependNeitherOnTheBatchNorOnChunksNorOnThreads(String architecture, KvType cache)
            throws Exception {
        ModelOptions options = options().withKvType(cache);
        Path file = Golden.tiny(architecture);
        List<int[]> prompts = prompts(sequences());
        List<List<Float>> alone = new ArrayList<>();
        try (Model model = Model.load(file, options.withSequences(sequences()).withDevice(threads(1)))) {
            for (int[] prompt : prompts) {
                alone.add(fingerprint(model, prompt));
            }
        }
        int rows = sequences() < 8 ? 40 : 64; // fewer than the prompts have together
        int chunk = cache == KvType.F32 ? 1 : cache.scaled() ? 7 : 64;
        ModelOptions together = options.withSequences(sequences())
                .withBatch(rows, Math.min(rows, chunk))
                .withDevice(threads(2));
        try (Model model = Model.load(file, together);
                ExecutorService executor = Executors.newFixedThreadPool(prompts.size())) {
            List<Future<List<Float>>> results = new ArrayList<>();
            for (int[] prompt : prompts) {
                results.add(executor.submit(() -> fingerprint(model, prompt)));
            }
            for (int i = 0; i < prompts.size(); i++) {
                assertThat(results.get(i).get()).as("prompt %d", i).isEqualTo(alone.get(i));
            }
        }
    }

    private DeviceOptions threads(int count) {
        return device().withThreads(count);
    }

    /** Prompts of 1, 16, 31 … tokens. */
    private static List<int[]> prompts(int count) {
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int[] prompt = new int[1 + 15 * i];
            for (int j = 0; j < prompt.length; j++) {
                prompt[j] = (j * 31 + i * 7) % 256;
            }
            prompts.add(prompt);
        }
        return prompts;
    }

    /** Ids and log-probabilities of a greedy continuation, to the bit. */
    private static List<Float> fingerprint(Model model, int[] prompt) {
        GenerationOptions options = GenerationOptions.GREEDY
                .withMaximumTokens(10)
                .withIgnoreEnd(true)
                .withLogprobs(5);
        List<Float> values = new ArrayList<>();
        try (Session session = model.newSession()) {
            session.generate(prompt, options, text -> {})
                    .topLogprobs()
                    .forEach(step -> step.forEach(entry -> {
                        values.add((float) entry.id());
                        values.add(entry.logprob());
                    }));
        }
        return values;
    }

    /** Drafts change when tokens come, and neither which nor what is said of them. */
    @ParameterizedTest
    @CsvSource({"llama, F16", "deepseek2, INT8"})
    public void draftsChangeNoToken(String architecture, KvType cache) {
        int[] prompt = new int[40];
        Arrays.setAll(prompt, i -> i % 10 + 20);
        SamplingOptions drawn = SamplingOptions.DEFAULT.withSeed(7).withTemperature(0.5f);
        // Makes every model repeat itself, sooner or later.
        SamplingOptions rewarded = new SamplingOptions(0, 0, 1, 0, 0.9f, -2, 0, 64, 0);
        GenerationOptions plain = GenerationOptions.GREEDY
                .withMaximumTokens(repeated())
                .withIgnoreEnd(true)
                .withDrafts(0);
        int spared = 0;
        try (Model model = Model.load(Golden.tiny(architecture), options().withKvType(cache))) {
            for (GenerationOptions each :
                    List.of(plain, plain.withLogprobs(3), plain.withSampling(drawn), plain.withSampling(rewarded))) {
                try (Session session = model.newSession();
                        Session other = model.newSession("computes all itself")) {
                    Generation expected = session.generate(prompt, each, text -> {});
                    Generation actual = other.generate(prompt, each.withDrafts(6), text -> {});
                    assertThat(actual.tokens()).as("%s", each).isEqualTo(expected.tokens());
                    assertThat(actual.topLogprobs()).isEqualTo(expected.topLogprobs());
                    assertThat(expected.passes()).isEqualTo(repeated());
                    assertThat(actual.passes()).isLessThanOrEqualTo(expected.passes());
                    spared += expected.passes() - actual.passes();
                }
            }
        }
        assertThat(spared).as("passes that drafts have spared").isPositive();
    }

    /** Whatever is most probable or drawn, an answer is a text of its grammar, and ends there. */
    @Test
    public void answersOfAGrammarAreTextsOfIt() {
        Grammar grammar = Grammar.regex("([a-c]{2,3}, ){2}[0-9]{1,3}");
        int[] prompt = {5, 6, 7};
        try (Model model = Model.load(Golden.tiny("llama"), options());
                Session session = model.newSession()) {
            for (float temperature : new float[] {0, 1}) {
                GenerationOptions asked = GenerationOptions.GREEDY
                        .withSampling(SamplingOptions.DEFAULT
                                .withTemperature(temperature)
                                .withSeed(3))
                        .withMaximumTokens(60)
                        .withGrammar(grammar);
                Generation answer = session.generate(prompt, asked, text -> {});
                assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
                assertThat(grammar.matches(answer.text())).as(answer.text()).isTrue();
            }
        }
    }

    /** What a file says is never to be generated is not, also where the device chooses tokens itself. */
    @Test
    public void suppressedTokensAreNotGenerated(@TempDir Path folder) throws IOException {
        GenerationOptions asked = GenerationOptions.GREEDY.withMaximumTokens(4).withIgnoreEnd(true);
        int[] prompt = {5, 6, 7};
        Path changed = folder.resolve("suppressed.gguf");
        int first;
        try (Gguf file = Gguf.open(Golden.tiny("llama"));
                Model model = Model.load(file, options());
                Session session = model.newSession()) {
            first = session.generate(prompt, asked, text -> {}).tokens().getFirst();
            GgufWriter.copyOf(file)
                    .metadata("tokenizer.ggml.suppress_tokens", MetadataValue.array(MetadataType.INT32, new int[] {first
                    }))
                    .write(changed);
        }
        try (Model model = Model.load(changed, options());
                Session session = model.newSession()) {
            assertThat(session.generate(prompt, asked, text -> {}).tokens()).doesNotContain(first);
        }
    }

    /** An F16 cache stays close to an F32 one. */
    @Test
    public void halfPrecisionCacheIsClose() {
        int[] prompt = Golden.ints(Golden.tinyAnswer("qwen3").get("tokens"));
        Path file = Golden.tiny("qwen3");
        float[] exact = lastLogits(file, options(), prompt);
        float[] half = lastLogits(file, options().withKvType(KvType.F16), prompt);
        for (int i = 0; i < exact.length; i++) {
            assertThat(half[i]).isCloseTo(exact[i], org.assertj.core.data.Offset.offset(0.01f));
        }
    }

    /** Rotation changes what the cache holds, and no result; heads of 16 and more, windows and norms of heads. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen3", "gemma2", "qwen35", "gemma4-ple", "deepseek2"})
    public void aRotatedCacheGivesTheSameLogits(String architecture) {
        int[] prompt = Golden.ints(Golden.tinyAnswer(architecture).get("tokens"));
        Path file = Golden.tiny(architecture);
        float[] plain = lastLogits(file, options().withKvRotation(KvRotation.OFF), prompt);
        float[] rotated = lastLogits(file, options().withKvRotation(KvRotation.ON), prompt);
        assertThat(rotated).isNotEqualTo(plain);
        for (int i = 0; i < plain.length; i++) {
            assertThat(rotated[i]).isCloseTo(plain[i], org.assertj.core.data.Offset.offset(1e-3f));
        }
    }

    /** Architectures whose contexts are long: what attends, and what keeps a state, each in its way. */
    protected List<String> longContexts() {
        return List.of("llama", "gemma3", "qwen35", "gemma4-ple", "deepseek2", "llama4");
    }

    /** Positions beyond a segment of attention, and a window that begins in an earlier one. */
    @ParameterizedTest
    @MethodSource("longContexts")
    public void longContextsMatchTheReference(String architecture) {
        int[] tokens = new int[longContext()];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = (i * 37 + i / 7) % 256;
        }
        Path file = Golden.tiny(architecture);
        ModelOptions options = options().withContextLength(longContext() + 100);
        float[] expected = lastLogits(file, options.withBackend("reference"), tokens);
        GenerationOptions greedy = GenerationOptions.GREEDY
                .withMaximumTokens(8)
                .withIgnoreEnd(true)
                .withDrafts(0)
                .withLogprobs(3);
        try (Model model = Model.load(file, options)) {
            Generation decoded;
            try (Session session = model.newSession()) {
                decoded = session.generate(tokens, greedy, text -> {});
            }
            int[] all = Arrays.copyOf(tokens, tokens.length + 7);
            Arrays.setAll(
                    all, i -> i < tokens.length ? tokens[i] : decoded.tokens().get(i - tokens.length));
            List<List<Logprobs.Entry>> together = new ArrayList<>();
            model.evaluate(all, tokens.length - 1, (position, logits) -> {
                together.add(Logprobs.top(logits, 3));
                for (int i = 0; i < expected.length && position == tokens.length - 1; i++) {
                    assertThat(logits[i]).isCloseTo(expected[i], org.assertj.core.data.Offset.offset(1e-3f));
                }
            });
            assertThat(decoded.topLogprobs()).as("the same bits token by token").isEqualTo(together);
        }
        if (decodedContexts().contains(architecture)) {
            assertThat(lastLogits(file, options.withBatch(1, 1), tokens))
                    .as("the same bits row by row")
                    .isEqualTo(lastLogits(file, options, tokens));
        }
    }
}
