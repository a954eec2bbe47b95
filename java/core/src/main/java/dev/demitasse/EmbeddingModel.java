package dev.demitasse;

import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.runtime.Encoder;
import dev.demitasse.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A model that makes vectors of texts. Thread-safe; calls wait for each other, and a call with many texts is faster
 * than as many calls.
 *
 * <pre>{@code
 * try (EmbeddingModel model = EmbeddingModel.load(Path.of("bge-small-en-v1.5.gguf"))) {
 *     float[][] vectors = model.embed(List.of("a cup of coffee", "an espresso"));
 *     System.out.println(EmbeddingModel.cosine(vectors[0], vectors[1]));
 * }
 * }</pre>
 */
public final class EmbeddingModel implements AutoCloseable {
    private final TextEncoder encoder;
    private final boolean normalized;

    private EmbeddingModel(TextEncoder encoder, boolean normalized) {
        this.encoder = encoder;
        this.normalized = normalized;
    }

    /** {@link #load(Path, EmbeddingOptions)} with {@link EmbeddingOptions#DEFAULT}. */
    public static EmbeddingModel load(Path path) {
        return load(path, EmbeddingOptions.DEFAULT);
    }

    /**
     * Loads a GGUF model. The file is not needed afterwards.
     *
     * @throws ModelFormatException where the file is damaged
     * @throws UnsupportedModelException where it is sound but needs something that is not there, or scores pairs of
     *     texts ({@link Reranker})
     * @throws BackendUnavailableException where no device can be opened
     * @throws OutOfDeviceMemoryException where it does not fit
     * @throws UsageException where neither file nor options say how rows are pooled, or longer texts are asked for than
     *     the model was trained for
     */
    public static EmbeddingModel load(Path path, EmbeddingOptions options) {
        try (Gguf file = Gguf.open(path)) {
            return load(file, options);
        }
    }

    /** Loads an open GGUF model, which may be closed afterwards. */
    public static EmbeddingModel load(Gguf file, EmbeddingOptions options) {
        return new EmbeddingModel(new TextEncoder(file, options, false), options.normalized());
    }

    /**
     * What of a text's rows is its embedding, as a file says; {@link Pooling#RANK} where it is a model for
     * {@link Reranker}, {@link Pooling#NONE} where it does not say.
     */
    public static Pooling pooling(Gguf file) {
        return Model.config(file, 0, false).pooling();
    }

    /**
     * The embedding of a text.
     *
     * @throws ContextFullException where it has too many tokens, and texts are not truncated
     */
    public float[] embed(String text) {
        return embed(List.of(text))[0];
    }

    /** The embeddings of texts, in their order; each is what {@link #embed(String)} gives alone. */
    public float[][] embed(List<String> texts) {
        return embedTokens(texts.stream()
                .map(text -> encoder.tokenizer.encodeWhole(text, false))
                .toList());
    }

    /** The embeddings of texts that are tokens already, with what begins and ends them. */
    public float[][] embedTokens(List<int[]> texts) {
        List<Encoder.Input> inputs = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            inputs.add(encoder.fit(new Encoder.Input(texts.get(i)), "Text " + i));
        }
        float[][] vectors = encoder.run(inputs);
        for (float[] vector : vectors) {
            if (normalized) {
                normalize(vector);
            }
        }
        return vectors;
    }

    private static void normalize(float[] vector) {
        double factor = 1 / Math.max(Math.sqrt(dot(vector, vector)), Float.MIN_NORMAL);
        for (int i = 0; i < vector.length; i++) {
            vector[i] = (float) (vector[i] * factor);
        }
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }

    /**
     * The cosine of the angle between two vectors, from -1 to 1: how alike their texts are.
     *
     * @throws UsageException where their lengths differ
     */
    public static double cosine(float[] a, float[] b) {
        if (a.length != b.length) {
            throw new UsageException("Vectors of " + a.length + " and " + b.length + " numbers have no angle.");
        }
        return dot(a, b) / Math.max(Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)), Float.MIN_NORMAL);
    }

    /** Numbers of an embedding. */
    public int dimension() {
        return encoder.dimension();
    }

    /** Tokens that a text may have. */
    public int maximumTokens() {
        return encoder.maximumTokens;
    }

    /** What of a text's rows is its embedding. */
    public Pooling pooling() {
        return encoder.pooling;
    }

    /** The architecture's name in GGUF files. */
    public String architecture() {
        return encoder.config.architecture().key();
    }

    /** Text to ids and back. */
    public Tokenizer tokenizer() {
        return encoder.tokenizer;
    }

    /** What the device is, for people. */
    public String deviceDescription() {
        return encoder.device.description();
    }

    /** The name of the device's backend. */
    public String backend() {
        return encoder.device.name();
    }

    /** Frees everything. Closing twice does nothing. */
    @Override
    public void close() {
        encoder.close();
    }
}
