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
import java.util.function.LongConsumer;

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

    /**
     * {@return {@link #load(Path, EmbeddingOptions)} with {@link EmbeddingOptions#DEFAULT}}
     *
     * @param path a GGUF file
     */
    public static EmbeddingModel load(Path path) {
        return load(path, EmbeddingOptions.DEFAULT);
    }

    /**
     * Loads a GGUF model. The file is not needed afterwards.
     *
     * @param path a GGUF file
     * @param options where it runs, and how texts are pooled
     * @return the model, which the caller closes
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

    /**
     * Loads a GGUF model, and tells how far that is.
     *
     * @param path a GGUF file
     * @param options where it runs, and how texts are pooled
     * @param listener called by the thread that loads
     * @return the model, which the caller closes
     */
    public static EmbeddingModel load(Path path, EmbeddingOptions options, LoadListener listener) {
        try (Gguf file = Gguf.open(path)) {
            LoadProgress progress = new LoadProgress(file, listener);
            EmbeddingModel model = load(file, options, progress);
            progress.finish(model::close);
            return model;
        }
    }

    /**
     * Loads an open GGUF model, which may be closed afterwards.
     *
     * @param file an open model
     * @param options where it runs, and how texts are pooled
     * @return the model, which the caller closes
     */
    public static EmbeddingModel load(Gguf file, EmbeddingOptions options) {
        return load(file, options, begun -> {});
    }

    private static EmbeddingModel load(Gguf file, EmbeddingOptions options, LongConsumer progress) {
        return new EmbeddingModel(new TextEncoder(file, options, false, progress), options.normalized());
    }

    /**
     * {@return what of a text's rows is its embedding, as a file says; {@link Pooling#RANK} where it is a model for
     * {@link Reranker}, {@link Pooling#NONE} where it does not say}
     *
     * @param file an open model
     */
    public static Pooling pooling(Gguf file) {
        return Hyperparameters.read(file, 0, false).pooling();
    }

    /**
     * {@return the embedding of a text}
     *
     * @param text any text; spellings of control tokens in it are text
     * @throws ContextFullException where it has too many tokens, and texts are not truncated
     */
    public float[] embed(String text) {
        return embed(List.of(text))[0];
    }

    /**
     * {@return the embeddings of texts, in their order; each is what {@link #embed(String)} gives alone}
     *
     * @param texts any number of texts
     */
    public float[][] embed(List<String> texts) {
        return embedTokens(texts.stream()
                .map(text -> encoder.tokenizer.encodeWhole(text, false))
                .toList());
    }

    /**
     * {@return the embeddings of texts that are tokens already, with what begins and ends them}
     *
     * @param texts the ids of each
     */
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
     * {@return the cosine of the angle between two vectors, from -1 to 1: how alike their texts are}
     *
     * @param a any vector
     * @param b one as long
     * @throws UsageException where their lengths differ
     */
    public static double cosine(float[] a, float[] b) {
        if (a.length != b.length) {
            throw new UsageException("Vectors of " + a.length + " and " + b.length + " numbers have no angle.");
        }
        return dot(a, b) / Math.max(Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)), Float.MIN_NORMAL);
    }

    /** {@return numbers of an embedding} */
    public int dimension() {
        return encoder.dimension();
    }

    /** {@return tokens that a text may have} */
    public int maximumTokens() {
        return encoder.maximumTokens;
    }

    /** {@return what of a text's rows is its embedding} */
    public Pooling pooling() {
        return encoder.pooling;
    }

    /** {@return the architecture's name in GGUF files} */
    public String architecture() {
        return encoder.config.architecture().key();
    }

    /** {@return text to ids and back} */
    public Tokenizer tokenizer() {
        return encoder.tokenizer;
    }

    /** {@return what the device is, for people} */
    public String deviceDescription() {
        return encoder.device.description();
    }

    /** {@return the name of the device's backend} */
    public String backend() {
        return encoder.device.name();
    }

    /** Frees everything. Closing twice does nothing. */
    @Override
    public void close() {
        encoder.close();
    }
}
