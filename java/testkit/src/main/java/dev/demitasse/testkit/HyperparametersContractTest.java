package dev.demitasse.testkit;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.EmbeddingOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Reranker;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Array;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whole files whose hyperparameters are not what they were – heads, experts, windows, sizes of states – run, or are
 * refused with a typed exception: of each architecture, so many at random. A device that computes in native code must
 * not end the JVM by what a file says.
 */
public abstract class HyperparametersContractTest {
    private static final int[] TOKENS = {3, 4, 5};

    private final String backend;

    @TempDir
    Path folder;

    /** For one backend. */
    protected HyperparametersContractTest(String backend) {
        this.backend = backend;
    }

    /** How often each model is changed; less often where a device is slow, because it is emulated or compiles first. */
    protected int rounds() {
        return 60;
    }

    private int asked() {
        return Integer.getInteger("demitasse.hyperparameters", rounds());
    }

    /** {@return models of all architectures} */
    public static Stream<String> generators() {
        return Stream.concat(Golden.TINY.stream(), Golden.TINY_QUANTIZED.stream());
    }

    /** {@return encoders and rerankers} */
    public static List<String> encoders() {
        return Golden.EMBEDDINGS;
    }

    /** Generators, and what they answer. */
    @ParameterizedTest
    @MethodSource("generators")
    public void aModelRunsOrIsRefused(String name) {
        ModelOptions options = ModelOptions.DEFAULT
                .withBackend(backend)
                .withContextLength(32)
                .withSequences(1)
                .withBatch(8, 8);
        Seeds.forEach(asked(), random -> {
            try (Model model = Model.load(changed(Golden.tiny(name), random), options)) {
                model.evaluate(TOKENS, 1, (position, logits) -> {});
            } catch (DemitasseException e) {
                // the typed exception: what this test asks for
            }
        });
    }

    /** Encoders and rerankers. */
    @ParameterizedTest
    @MethodSource("encoders")
    public void anEncoderRunsOrIsRefused(String name) {
        EmbeddingOptions options = EmbeddingOptions.DEFAULT.withBackend(backend);
        Seeds.forEach(asked(), random -> {
            try {
                Path file = changed(Golden.embedding(name), random);
                if (name.endsWith("-rank") || name.endsWith("-reranker")) {
                    try (Reranker reranker = Reranker.load(file, options)) {
                        reranker.score("a text", List.of("another"));
                    }
                } else {
                    try (EmbeddingModel model = EmbeddingModel.load(file, options)) {
                        model.embed("a text");
                    }
                }
            } catch (DemitasseException e) {
                // the typed exception: what this test asks for
            }
        });
    }

    /** A copy in which one to three of the architecture's own values are others. */
    private Path changed(Path original, SplittableRandom random) {
        Path copy = folder.resolve("changed.gguf");
        try (Gguf source = Gguf.open(original)) {
            String prefix = source.metadata().string("general.architecture") + ".";
            List<String> keys = source.metadata().all().keySet().stream()
                    .filter(key -> key.startsWith(prefix))
                    .toList();
            GgufWriter writer = GgufWriter.copyOf(source);
            for (int i = random.nextInt(3); i >= 0; i--) {
                String key = keys.get(random.nextInt(keys.size()));
                writer.metadata(
                        key,
                        other(Objects.requireNonNull(source.metadata().all().get(key)), random));
            }
            writer.write(copy);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return copy;
    }

    private static MetadataValue other(MetadataValue value, SplittableRandom random) {
        if (random.nextInt(20) == 0) {
            return MetadataValue.of(MetadataType.STRING, "nonsense");
        }
        MetadataType elements = value.elementType();
        if (elements != null && elements != MetadataType.STRING) {
            return MetadataValue.array(elements, others(value.value(), elements, random));
        }
        return value.type() == MetadataType.STRING || elements != null
                ? value
                : MetadataValue.of(value.type(), other(value.value(), value.type(), random));
    }

    /** The same array with one element changed, or shorter, or longer. */
    private static Object others(Object array, MetadataType type, SplittableRandom random) {
        int length = Array.getLength(array);
        int wanted = random.nextInt(4) == 0 ? random.nextInt(2 * length + 2) : length;
        Object changed = Array.newInstance(array.getClass().getComponentType(), wanted);
        for (int i = 0; i < wanted; i++) {
            Array.set(changed, i, Array.get(array, length == 0 ? 0 : i % length));
        }
        if (wanted > 0) {
            int at = random.nextInt(wanted);
            Array.set(changed, at, other(Array.get(changed, at), type, random));
        }
        return changed;
    }

    private static Object other(Object value, MetadataType type, SplittableRandom random) {
        return switch (type) {
            case BOOL -> !(Boolean) value;
            case FLOAT32 -> (float) other(((Float) value).doubleValue(), random);
            case FLOAT64 -> other((Double) value, random);
            case UINT8, INT8 -> (byte) other(((Number) value).longValue(), random);
            case UINT16, INT16 -> (short) other(((Number) value).longValue(), random);
            case UINT32, INT32 -> (int) other(((Number) value).longValue(), random);
            default -> other(((Number) value).longValue(), random);
        };
    }

    private static double other(double value, SplittableRandom random) {
        double[] candidates = {
            Double.NaN, Double.POSITIVE_INFINITY, -1, 0, 1e-30, 1e30, -value, value * 2, value / 2, Float.MAX_VALUE
        };
        return candidates[random.nextInt(candidates.length)];
    }

    private static long other(long value, SplittableRandom random) {
        long[] candidates = {
            0,
            1,
            2,
            3,
            -1,
            value - 1,
            value + 1,
            value * 2,
            value / 2,
            value * 3,
            Integer.MAX_VALUE,
            Integer.MIN_VALUE,
            1L << 30,
            65_536,
            Long.MAX_VALUE,
            random.nextInt(1000)
        };
        return candidates[random.nextInt(candidates.length)];
    }
}
