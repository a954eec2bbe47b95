package dev.demitasse;

import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.runtime.Encoder;
import dev.demitasse.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A model that scores how well documents answer a query (a cross-encoder). Thread-safe; calls wait for each other.
 *
 * <pre>{@code
 * try (Reranker reranker = Reranker.load(Path.of("bge-reranker-v2-m3.gguf"))) {
 *     float[] scores = reranker.score("what is an espresso?", List.of("a small strong coffee", "a train"));
 * }
 * }</pre>
 */
public final class Reranker implements AutoCloseable {
    private static final String TEMPLATE = "tokenizer.chat_template.rerank";
    private static final String QUERY = "{query}";
    private static final String DOCUMENT = "{document}";
    private static final String YES = "yes";

    private final TextEncoder encoder;
    private final @Nullable String template; // of what the model reads; null for two texts one after the other
    private final TextMarks marks;
    private final int label; // whose score it is

    private Reranker(TextEncoder encoder, @Nullable String template, int label) {
        this.encoder = encoder;
        this.template = template;
        this.marks = new TextMarks(encoder.tokenizer.vocabulary());
        this.label = label;
    }

    /**
     * {@return {@link #load(Path, EmbeddingOptions)} with {@link EmbeddingOptions#DEFAULT}}
     *
     * @param path a GGUF file
     */
    public static Reranker load(Path path) {
        return load(path, EmbeddingOptions.DEFAULT);
    }

    /**
     * Loads a GGUF model, as {@link EmbeddingModel#load(Path, EmbeddingOptions)} does.
     *
     * @param path a GGUF file
     * @param options where it runs, and how long pairs may be
     * @return the model, which the caller closes
     * @throws UnsupportedModelException also where the model makes embeddings and no scores
     */
    public static Reranker load(Path path, EmbeddingOptions options) {
        try (Gguf file = Gguf.open(path)) {
            return load(file, options);
        }
    }

    /**
     * Loads a GGUF model, and tells how far that is.
     *
     * @param path a GGUF file
     * @param options where it runs, and how long pairs may be
     * @param listener called by the thread that loads
     * @return the model, which the caller closes
     */
    public static Reranker load(Path path, EmbeddingOptions options, LoadListener listener) {
        try (Gguf file = Gguf.open(path)) {
            LoadProgress progress = new LoadProgress(file, listener);
            Reranker reranker = load(file, options, progress);
            progress.finish(reranker::close);
            return reranker;
        }
    }

    /**
     * Loads an open GGUF model, which may be closed afterwards.
     *
     * @param file an open model
     * @param options where it runs, and how long pairs may be
     * @return the model, which the caller closes
     */
    public static Reranker load(Gguf file, EmbeddingOptions options) {
        return load(file, options, begun -> {});
    }

    private static Reranker load(Gguf file, EmbeddingOptions options, LongConsumer progress) {
        Metadata metadata = file.metadata();
        String template = metadata.string(TEMPLATE, null);
        String[] labels = metadata.strings(metadata.string("general.architecture") + ".classifier.output_labels");
        TextEncoder encoder = new TextEncoder(file, options, true, progress);
        int yes = labels == null ? -1 : Arrays.asList(labels).indexOf(YES);
        return new Reranker(encoder, template, yes < 0 || yes >= encoder.dimension() ? 0 : yes);
    }

    /**
     * Scores documents: the higher, the better they answer. Of models with one score it is a logit, as the model gives
     * it; of models with several it is the probability of "yes", or of the first.
     *
     * @param query what is asked
     * @param documents what may answer it, any number
     * @return a score a document, in their order
     * @throws ContextFullException where a pair has too many tokens, and texts are not truncated; else only where the
     *     query leaves no room for a document
     */
    public float[] score(String query, List<String> documents) {
        List<Encoder.Input> inputs = new ArrayList<>();
        for (int i = 0; i < documents.size(); i++) {
            String name = "The query with document " + i;
            inputs.add(encoder.fit(input(shortened(query, documents.get(i), name), name), name));
        }
        return scores(inputs);
    }

    /**
     * {@return the scores of pairs that are tokens already, with what begins, separates and ends their texts}
     *
     * @param pairs ids, and of each token which text it belongs to
     * @throws UsageException where a pair has other than one kind of text a token, or kinds but 0 and 1
     */
    public float[] scoreTokens(List<Tokenizer.Pair> pairs) {
        List<Encoder.Input> inputs = new ArrayList<>();
        for (int i = 0; i < pairs.size(); i++) {
            inputs.add(encoder.fit(input(pairs.get(i), "Pair " + i), "Pair " + i));
        }
        return scores(inputs);
    }

    /** Models that know one kind of text get that one alone. */
    private Encoder.Input input(Tokenizer.Pair pair, String name) {
        int count = pair.ids().length;
        if (pair.types().length != count || Arrays.stream(pair.types()).anyMatch(type -> type < 0 || type > 1)) {
            throw new UsageException(name + " has " + count + " tokens, and must say of each whether it is of the first"
                    + " text (0) or of the second (1).");
        }
        return new Encoder.Input(pair.ids(), encoder.weights.kindsOfText() > 1 ? pair.types() : new int[count]);
    }

    private float[] scores(List<Encoder.Input> inputs) {
        float[][] all = encoder.run(inputs);
        float[] scores = new float[all.length];
        for (int i = 0; i < all.length; i++) {
            scores[i] = all[i][label];
        }
        return scores;
    }

    private Tokenizer.Pair pair(String query, String document) {
        return template == null
                ? encoder.tokenizer.encodePair(query, document)
                : new Tokenizer.Pair(inTemplate(template, query, document));
    }

    /** A pair, of whose document so much is cut off as does not fit: the score may be read from what is behind it. */
    private Tokenizer.Pair shortened(String query, String document, String name) {
        Tokenizer.Pair pair = pair(query, document);
        if (!encoder.truncates || pair.ids().length <= encoder.maximumTokens) {
            return pair;
        }
        int others = pair(query, "").ids().length;
        String rest = document;
        while (pair.ids().length > encoder.maximumTokens && !rest.isEmpty()) {
            long excess = pair.ids().length - encoder.maximumTokens;
            long cut = excess * rest.length() / Math.max(1, pair.ids().length - others);
            rest = rest.substring(0, rest.offsetByCodePoints(0, cut(rest, (int) Math.min(cut + 1, rest.length()))));
            pair = pair(query, rest);
        }
        if (rest.isEmpty()) {
            throw new ContextFullException(name + " has " + others + " tokens without the document; "
                    + encoder.maximumTokens + " are possible, which leaves no room for it. Shorten the query.");
        }
        return pair;
    }

    /** Code points that are left of a text when so many are cut off its end. */
    private static int cut(String text, int count) {
        return Math.max(0, text.codePointCount(0, text.length()) - count);
    }

    /** The template with both texts in it, as one text; what others have written is never a special token. */
    private int[] inTemplate(String template, String query, String document) {
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < template.length(); ) {
            int next = next(template, at);
            text.append(template, at, next);
            at = next;
            if (template.startsWith(QUERY, at)) {
                text.append(marks.of(query));
                at += QUERY.length();
            } else if (template.startsWith(DOCUMENT, at)) {
                text.append(marks.of(document));
                at += DOCUMENT.length();
            }
        }
        return encoder.tokenizer.encode(text.toString(), true, TextMarks.MARK);
    }

    /** Where the next place for a text is, or the end. */
    private static int next(String template, int from) {
        int query = template.indexOf(QUERY, from);
        int document = template.indexOf(DOCUMENT, from);
        int end = template.length();
        return Math.min(query < 0 ? end : query, document < 0 ? end : document);
    }

    /** {@return tokens that a query and a document may have together, with what begins, separates and ends them} */
    public int maximumTokens() {
        return encoder.maximumTokens;
    }

    /** Frees everything. Closing twice does nothing. */
    @Override
    public void close() {
        encoder.close();
    }
}
