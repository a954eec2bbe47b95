package dev.demitasse;

import dev.demitasse.runtime.Encoder;
import java.util.List;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One call of an embedding model or of a reranker, for Java Flight Recorder; waiting for other calls is part of it. */
@Name("demitasse.Embedding")
@Label("Embedding")
@Description("Texts that an embedding model or a reranker runs together; one that is too long is refused before")
@Category("Demitasse")
@StackTrace(false)
final class EmbeddingEvent extends Event {
    @Label("Architecture")
    String architecture = "";

    @Label("Backend")
    String backend = "";

    @Label("Pooling")
    @Description("What becomes of a text's rows; RANK for scores")
    String pooling = "";

    @Label("Texts")
    @Description("Texts, or pairs of them")
    int texts;

    @Label("Tokens")
    long tokens;

    @Label("Failed")
    @Description("Whether an exception ended it")
    boolean failed;

    /** It has ended. */
    void complete(TextEncoder encoder, List<Encoder.Input> inputs, boolean whole) {
        end();
        if (!shouldCommit()) {
            return;
        }
        architecture = encoder.config.architecture().key();
        backend = encoder.device.name();
        pooling = encoder.pooling.name();
        texts = inputs.size();
        tokens = inputs.stream().mapToLong(input -> input.ids().length).sum();
        failed = !whole;
        commit();
    }
}
