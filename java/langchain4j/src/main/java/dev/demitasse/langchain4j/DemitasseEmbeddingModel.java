package dev.demitasse.langchain4j;

import dev.demitasse.EmbeddingModel;
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.embedding.DimensionAwareEmbeddingModel;
import dev.langchain4j.model.output.Response;
import java.util.Arrays;
import java.util.List;

/** LangChain4j's embedding model on an encoder in this process; texts of a call are computed together. */
public final class DemitasseEmbeddingModel extends DimensionAwareEmbeddingModel {
    private final EmbeddingModel model;

    /**
     * On a model that stays the caller's.
     *
     * @param model the encoder, which the caller closes after the last call
     */
    public DemitasseEmbeddingModel(EmbeddingModel model) {
        this.model = model;
    }

    @Override
    public Response<List<Embedding>> embedAll(List<TextSegment> segments) {
        float[][] vectors = model.embed(segments.stream().map(TextSegment::text).toList());
        return Response.from(Arrays.stream(vectors).map(Embedding::from).toList());
    }

    @Override
    protected Integer knownDimension() {
        return model.dimension();
    }

    @Override
    public String modelName() {
        return model.architecture();
    }

    @Override
    public ModelProvider provider() {
        return ModelProvider.OTHER;
    }
}
