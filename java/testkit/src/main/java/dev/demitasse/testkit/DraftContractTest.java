package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.Devices;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.TokenIds;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Transformer;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Drafts;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.KvCache;
import dev.demitasse.runtime.PageTable;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.tokenizer.Vocabulary;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Drafts wherever there are some, right and wrong ones, and sequences whose states have seen the wrong ones: what every
 * device must hold.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class DraftContractTest {
    /** A model that repeats a token is given more of it: it repeats itself, sooner or later. */
    private static final SamplingOptions REWARDED = new SamplingOptions(0, 0, 1, 0, 0.9f, -2, 0, 64, 0);

    private static final int DRAFTS = 6;
    private static final int PIECE = 16;
    private static final String BLOCK = "qwen35-mtp";
    /** Ends the names of models that get a draft block: their last layer once more, behind random numbers. */
    private static final String WITH_BLOCK = "+block";

    private static final ValueLayout.OfFloat NUMBER =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int CONTEXT = 512;

    /** Drafts all there are, and counts. */
    private static final class All extends Drafts {
        int drafted;
        int computed;

        @Override
        public int count(Planned pass, int most, Hits hits) {
            drafted += most;
            computed += pass.computed() ? most : 0;
            return most;
        }
    }

    /** Which tokens may come depends on how many came; so many are all. */
    private static final class Turns implements Constraint {
        private static final int ALL = 19;
        private int accepted;

        @Override
        public void restrict(float[] logits, int[] tokens, int from, int count) {
            for (int token = 0; token < logits.length; token++) {
                if ((token + accepted + count) % 4 == 0) {
                    logits[token] = Float.NEGATIVE_INFINITY;
                }
            }
        }

        @Override
        public void accept(int token) {
            accepted++;
        }

        @Override
        public boolean isComplete() {
            return accepted == ALL;
        }
    }

    /** How tokens are chosen. */
    private enum Choice {
        MOST_PROBABLE,
        /** By chance: drafts must change neither a token's distribution nor which draw is whose. */
        DRAWN,
        CONSTRAINED;

        Sampler sampler(int round) {
            SamplingOptions drawn = REWARDED.withTemperature(0.4f).withSeed(round);
            return new Sampler(this == DRAWN ? drawn : REWARDED, this == CONSTRAINED ? new Turns() : null);
        }
    }

    private static final List<Choice> CHOICES = List.of(Choice.MOST_PROBABLE, Choice.DRAWN, Choice.CONSTRAINED);

    private static Choice choice(int round) {
        return CHOICES.get(round % CHOICES.size());
    }

    private static void begin(Engine engine, Sequence sequence, int[] prompt, int round, int tokens, int drafts) {
        Sampler sampler = choice(round).sampler(round);
        engine.begin(sequence, prompt, sampler, tokens, 3, drafts, true);
    }

    /** What came of a turn, and of how many passes. */
    private record Answer(List<Sequence.Step> steps, int passes) {}

    private static Answer finish(Engine engine, Sequence sequence) {
        List<Sequence.Step> steps = new ArrayList<>();
        while (true) {
            Engine.Progress progress = engine.await(sequence, steps.size(), () -> null);
            steps.addAll(progress.steps());
            if (progress.finish() != null) {
                return new Answer(steps, progress.passes());
            }
        }
    }

    /** The next turn's prompt: some or all of this one's, some of the answer, and what is new. */
    private static int[] next(SplittableRandom random, int[] prompt, List<Sequence.Step> answer, int vocabulary) {
        int kept = random.nextInt(3) == 0 ? random.nextInt(prompt.length) : prompt.length;
        int answered = random.nextInt(answer.size() + 1);
        int[] next = Arrays.copyOf(prompt, kept + answered + 2);
        for (int i = 0; i < answered; i++) {
            next[kept + i] = answer.get(i).token();
        }
        next[kept + answered] = random.nextInt(vocabulary);
        next[kept + answered + 1] = random.nextInt(3, 9);
        return next;
    }

    /** A prompt in which there is nothing to look up: a draft block drafts what comes after it. */
    private static int[] strange(SplittableRandom random, int vocabulary) {
        int first = random.nextInt(vocabulary);
        return IntStream.range(0, 9).map(i -> (first + i) % vocabulary).toArray();
    }

    private final String backend;

    @TempDir
    Path folder;

    /** For one backend. */
    protected DraftContractTest(String backend) {
        this.backend = backend;
    }

    /** Models, most of them with states, some with a draft block. */
    protected List<String> architectures() {
        return List.of(
                "qwen35-mtp",
                "qwen35moe" + WITH_BLOCK,
                "glm4moe" + WITH_BLOCK,
                "qwen35",
                "qwen3next",
                "lfm2moe",
                "granitehybrid",
                "nemotron_h",
                "gemma3");
    }

    /** Turns of a conversation, at most. */
    private static final int MOST_ROUNDS = 40;

    /** Turns of a conversation; fewer where a device is slow. */
    protected int rounds() {
        return 12;
    }

    /** One conversation after another, and two at once. */
    @ParameterizedTest
    @MethodSource("architectures")
    public void turnsAreWhatTheyAreWithoutDrafts(String architecture) throws IOException {
        use(
                architecture.endsWith(WITH_BLOCK)
                        ? withBlock(architecture.substring(0, architecture.length() - WITH_BLOCK.length()))
                        : Golden.tiny(architecture),
                (config, weights, device) -> Seeds.forEach(1, random -> turns(random, config, weights, device)));
    }

    private void turns(SplittableRandom random, ModelConfig config, Weights weights, Device device) {
        All drafts = new All();
        Engine.Limits limits = new Engine.Limits(CONTEXT, 2, 24, 16, KvType.F16, false);
        IntPredicate isEnd = id -> id % 31 == 17;
        try (Engine plain = new Engine(config, weights, device, limits, new Engine.Roles(isEnd));
                Engine drafting = new Engine(config, weights, device, limits, new Engine.Roles(isEnd), drafts)) {
            int spared = 0;
            int drawn = 0; // drafts of a block where tokens are
            int[][] prompts = {
                random.ints(20, 3, 9).toArray(), random.ints(9, 3, 6).toArray()
            };
            Sequence[] two = {new Sequence(), new Sequence()};
            // When the first draft is right, and the first is wrong, depends on the seed.
            for (int round = 0;
                    round < rounds()
                            || round < MOST_ROUNDS
                                    && (spared == 0 || drafts.drafted <= spared || weights.drafts() && drawn == 0);
                    round++) {
                int tokens = 1 + random.nextInt(30);
                int before = drafts.computed;
                if (round >= rounds() && drawn == 0 && choice(round) == Choice.DRAWN) {
                    prompts[0] = strange(random, config.vocabulary());
                }
                List<List<Sequence.Step>> expected = new ArrayList<>();
                for (int i = 0; i < 2; i++) {
                    Sequence fresh = new Sequence();
                    begin(plain, fresh, prompts[i], round, tokens, 0);
                    expected.add(finish(plain, fresh).steps);
                    plain.close(fresh);
                    begin(drafting, two[i], prompts[i], round, tokens, random.nextInt(8) == 0 ? 0 : DRAFTS);
                }
                for (int i = 0; i < 2; i++) { // both go on while one is waited for
                    Answer actual = finish(drafting, two[i]);
                    assertThat(actual.steps)
                            .as("round %d, conversation %d", round, i)
                            .isEqualTo(expected.get(i));
                    spared += actual.steps.size() - actual.passes;
                    prompts[i] = next(random, prompts[i], actual.steps, config.vocabulary());
                }
                drawn += choice(round) == Choice.DRAWN ? drafts.computed - before : 0;
            }
            assertThat(spared).as("right drafts").isPositive();
            assertThat(drafts.drafted).as("drafts, wrong ones among them").isGreaterThan(spared);
            if (weights.drafts()) {
                assertThat(drawn).as("drafts of a block where tokens are drawn").isPositive();
            } else { // a block drafts where nothing is looked up, which depends on the seed too
                assertThat(drafts.computed).as("drafts of a block").isZero();
            }
        }
    }

    /** Beside a forward pass of another implementation in FP64: of rows in pieces, and of drafts of drafts. */
    @Test
    public void aDraftBlockPredictsWhatItShould() {
        JsonNode golden = Golden.lines("arch/tiny-" + BLOCK + ".draft.jsonl").getFirst();
        int[] tokens = new ObjectMapper().convertValue(golden.get("tokens"), int[].class);
        int rows = tokens.length - 1;
        use(Golden.tiny(BLOCK), (config, weights, device) -> {
            Transformer.Room room = new Transformer.Room(PIECE, CONTEXT, 1, false, true);
            List<KvShape> shapes = config.stores(true).stream()
                    .map(store -> new KvShape(store.layers(), store.kvHeads(), store.headDim(), 8, KvType.F32))
                    .toList();
            PageTable table = new PageTable();
            try (KvCache cache = new KvCache(device, shapes, 1);
                    Transformer transformer = new Transformer(config, weights, device, room)) {
                cache.reserve(table, CONTEXT / 4);
                Run run = new Run(config, transformer, cache.stores(), table.pages());
                for (int first = 0; first < rows; first += PIECE) {
                    int end = Math.min(rows, first + PIECE);
                    BatchRows piece = run.rows(first, end);
                    transformer.forward(
                            new TokenIds.Given(Arrays.copyOfRange(tokens, first, end)),
                            piece,
                            cache.stores(),
                            new int[0],
                            (done, count, logits) -> {});
                    float[][] logits = run.draft(Arrays.copyOfRange(tokens, first + 1, end + 1), 0, false, first, end);
                    for (int row = first; row < end; row++) {
                        requireClose(golden.get("rows").get(row), logits[row - first], "row " + row);
                    }
                }
                int from = (rows - 1) % PIECE;
                int draft = golden.get("drafts").get(0).get(0).get("id").intValue();
                for (int step = 1; step < golden.get("drafts").size(); step++) {
                    float[][] logits = run.draft(new int[] {draft}, from, true, rows - 1 + step, rows + step);
                    requireClose(golden.get("drafts").get(step), logits[0], "draft " + step);
                    draft = Sampler.argmax(logits[0]);
                    from = 0;
                }
            }
        });
    }

    /** What runs the draft block of one sequence. */
    private record Run(ModelConfig config, Transformer transformer, List<KvStore> stores, int[] pages) {
        BatchRows rows(int first, int end) {
            int[][] tables = new int[end - first][];
            Arrays.fill(tables, pages);
            return new BatchRows(end - first, IntStream.range(first, end).toArray(), tables);
        }

        /** Logits of positions before the tokens {@code ids}; the first is row {@code from} of the last ones. */
        float[][] draft(int[] ids, int from, boolean ofDrafts, int first, int end) {
            int[] all = IntStream.range(0, end - first).toArray();
            int[] which = Arrays.stream(all).map(row -> from + row).toArray();
            float[][] result = new float[all.length][config.vocabulary()];
            TokenIds given = new TokenIds.Given(ids);
            BatchRows rows = rows(first, end);
            transformer.draft(given, which, ofDrafts, rows, stores, all, (done, count, logits) -> {
                for (int i = 0; i < count; i++) {
                    long offset = (long) i * config.vocabulary() * Float.BYTES;
                    logits.read(offset, MemorySegment.ofArray(result[done + i]));
                }
            });
            return result;
        }
    }

    private static void requireClose(JsonNode expected, float[] logits, String what) {
        List<Logprobs.Entry> top = Logprobs.top(logits, logits.length);
        for (JsonNode entry : expected) {
            int id = entry.get("id").intValue();
            float actual = top.stream()
                    .filter(each -> each.id() == id)
                    .findFirst()
                    .orElseThrow()
                    .logprob();
            assertThat(actual)
                    .as("%s, token %d", what, id)
                    .isCloseTo(entry.get("logprob").floatValue(), within(1e-3f));
        }
    }

    /** A model each of whose tokens follows from the one before, as its draft block knows. */
    @Test
    public void draftsOfABlockThatIsRightAreTaken() throws IOException {
        use(predictable(), (config, weights, device) -> {
            Drafts ofBlock = new Drafts() {
                @Override
                public int count(Planned pass, int most, Hits hits) {
                    return pass.computed() ? most : 0;
                }
            };
            Engine.Limits limits = new Engine.Limits(CONTEXT, 2, 24, 16, KvType.F16, false);
            try (Engine plain = new Engine(config, weights, device, limits, new Engine.Roles(id -> false));
                    Engine drafting =
                            new Engine(config, weights, device, limits, new Engine.Roles(id -> false), ofBlock)) {
                Sequence[] two = {new Sequence(), new Sequence()};
                List<List<Sequence.Step>> expected = new ArrayList<>();
                for (int i = 0; i < 2; i++) {
                    int[] prompt = IntStream.range(0, 19 + 2 * i)
                            .map(at -> at * 7 % config.vocabulary())
                            .toArray();
                    Sequence fresh = new Sequence();
                    plain.begin(fresh, prompt, SamplingOptions.GREEDY, 22 + i, 3, 0, true);
                    expected.add(finish(plain, fresh).steps);
                    plain.close(fresh);
                    drafting.begin(two[i], prompt, SamplingOptions.GREEDY, 22 + i, 3, 3, true);
                }
                for (int i = 0; i < 2; i++) {
                    Answer actual = finish(drafting, two[i]);
                    assertThat(actual.steps).isEqualTo(expected.get(i));
                    assertThat(actual.passes).as("of up to four tokens").isLessThanOrEqualTo(9);
                }
            }
        });
    }

    /** Layers add nothing, and the draft block sees the token alone. */
    private Path predictable() throws IOException {
        Path path = folder.resolve("predictable.gguf");
        try (Gguf source = Gguf.open(Golden.tiny(BLOCK))) {
            GgufWriter writer = new GgufWriter(source.version(), source.alignment());
            source.metadata().all().forEach(writer::metadata);
            for (GgufTensor tensor : source.tensors()) {
                String name = tensor.name();
                float[] values = tensor.data().toArray(NUMBER);
                if (name.contains("attn_output") || name.contains("ffn_down") || name.contains("ssm_out")) {
                    Arrays.fill(values, 0);
                } else if (name.contains("eh_proj")) {
                    int columns = (int) tensor.columns();
                    for (int i = 0; i < values.length; i++) {
                        values[i] = i / columns == i % columns ? 1 : 0;
                    }
                } else if (name.contains("output_norm") || name.contains("enorm") || name.contains("head_norm")) {
                    Arrays.fill(values, 1);
                }
                writer.tensor(name, tensor.dimensions(), values);
            }
            writer.write(path);
        }
        return path;
    }

    private Path withBlock(String architecture) throws IOException {
        Path path = folder.resolve(architecture + ".gguf");
        SplittableRandom random = new SplittableRandom(20261129);
        try (Gguf source = Gguf.open(Golden.tiny(architecture))) {
            GgufWriter writer = GgufWriter.copyOf(source);
            int blocks = source.metadata().integer(architecture + ".block_count");
            int hidden = source.metadata().integer(architecture + ".embedding_length");
            writer.metadata(architecture + ".block_count", MetadataValue.of(MetadataType.UINT32, blocks + 1));
            writer.metadata(architecture + ".nextn_predict_layers", MetadataValue.of(MetadataType.UINT32, 1));
            String last = "blk." + (blocks - 1) + ".";
            String next = "blk." + blocks + ".";
            source.tensors().stream()
                    .filter(tensor -> tensor.name().startsWith(last))
                    .forEach(tensor -> writer.tensor(
                            next + tensor.name().substring(last.length()),
                            tensor.type(),
                            tensor.dimensions(),
                            tensor.data()));
            for (String norm : List.of("enorm", "hnorm", "shared_head_norm")) {
                writer.tensor(next + "nextn." + norm + ".weight", new long[] {hidden}, numbers(random, hidden));
            }
            writer.tensor(
                    next + "nextn.eh_proj.weight",
                    new long[] {2L * hidden, hidden},
                    numbers(random, 2 * hidden * hidden));
            writer.write(path);
        }
        return path;
    }

    private static float[] numbers(SplittableRandom random, int count) {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) random.nextDouble(-1, 1);
        }
        return numbers;
    }

    /** Does something with a model. */
    private interface Use {
        void with(ModelConfig config, Weights weights, Device device);
    }

    private void use(Path path, Use use) {
        RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
        try (Device device = Devices.open(backend, DeviceOptions.defaults().withBatchInvariant(true));
                Gguf file = Gguf.open(path)) {
            ModelConfig config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, CONTEXT);
            try (Weights weights = new Weights(file, config, device, null, Weights.Drafts.REQUIRED)) {
                use.with(config, weights, device);
            }
        }
    }
}
