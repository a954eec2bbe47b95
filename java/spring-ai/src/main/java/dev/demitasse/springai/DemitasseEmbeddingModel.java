package dev.demitasse.springai;

import dev.demitasse.exception.UsageException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;

/** Spring AI's embedding model on an encoder in this process; texts of a call are computed together. Thread-safe. */
public final class DemitasseEmbeddingModel implements EmbeddingModel {
    private final dev.demitasse.EmbeddingModel model;

    /**
     * On a model that stays the caller's.
     *
     * @param model the encoder, which the caller closes after the last call
     */
    public DemitasseEmbeddingModel(dev.demitasse.EmbeddingModel model) {
        this.model = model;
    }

    /**
     * Computes the vectors of texts.
     *
     * @throws UsageException where another length of vectors is asked for, or a text is too long
     */
    @Override
    public EmbeddingResponse call(EmbeddingRequest request) {
        @Nullable EmbeddingOptions options = request.getOptions();
        Integer wanted = options == null ? null : options.getDimensions();
        if (wanted != null && wanted != model.dimension()) {
            throw new UsageException(
                    "Vectors of " + wanted + " numbers were asked for; the model's have " + model.dimension() + ".");
        }
        List<Embedding> embeddings = new ArrayList<>();
        for (float[] vector : model.embed(request.getInstructions())) {
            embeddings.add(new Embedding(vector, embeddings.size()));
        }
        return new EmbeddingResponse(embeddings, new EmbeddingResponseMetadata(model.architecture(), new EmptyUsage()));
    }

    @Override
    public float[] embed(Document document) {
        String text = document.getText();
        if (text == null) {
            throw new UsageException("The document " + document.getId() + " has no text; models read text alone here.");
        }
        return model.embed(text);
    }

    @Override
    public int dimensions() {
        return model.dimension();
    }
}
