package dev.demitasse.springai;

import dev.demitasse.exception.UsageException;
import io.micrometer.observation.ObservationRegistry;
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
import org.springframework.ai.embedding.observation.DefaultEmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationDocumentation;

/** Spring AI's embedding model on an encoder in this process; texts of a call are computed together. Thread-safe. */
public final class DemitasseEmbeddingModel implements EmbeddingModel {
    private static final EmbeddingModelObservationConvention CONVENTION =
            new DefaultEmbeddingModelObservationConvention();

    private final dev.demitasse.EmbeddingModel model;
    private final ObservationRegistry observations;
    private final @Nullable EmbeddingModelObservationConvention convention;

    /**
     * On a model that stays the caller's.
     *
     * @param model the encoder, which the caller closes after the last call
     */
    public DemitasseEmbeddingModel(dev.demitasse.EmbeddingModel model) {
        this(model, ObservationRegistry.NOOP, null);
    }

    /**
     * On a model that stays the caller's, whose requests are observed.
     *
     * @param model the encoder, which the caller closes after the last call
     * @param observations who observes requests, as Micrometer has it
     * @param convention how observations are named; null for Spring AI's names
     */
    public DemitasseEmbeddingModel(
            dev.demitasse.EmbeddingModel model,
            ObservationRegistry observations,
            @Nullable EmbeddingModelObservationConvention convention) {
        this.model = model;
        this.observations = observations;
        this.convention = convention;
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
        // Whoever observes asks the request for its model.
        EmbeddingOptions named = EmbeddingOptions.builder()
                .model(model.architecture())
                .dimensions(model.dimension())
                .build();
        EmbeddingModelObservationContext context = EmbeddingModelObservationContext.builder()
                .embeddingRequest(new EmbeddingRequest(request.getInstructions(), named))
                .provider(DemitasseChatModel.PROVIDER)
                .build();
        return EmbeddingModelObservationDocumentation.EMBEDDING_MODEL_OPERATION
                .observation(convention, CONVENTION, () -> context, observations)
                .observe(() -> {
                    EmbeddingResponse response = embeddings(request.getInstructions());
                    context.setResponse(response);
                    return response;
                });
    }

    private EmbeddingResponse embeddings(List<String> texts) {
        List<Embedding> embeddings = new ArrayList<>();
        for (float[] vector : model.embed(texts)) {
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
