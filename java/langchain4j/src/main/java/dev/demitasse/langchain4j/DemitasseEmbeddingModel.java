package dev.demitasse.langchain4j;

import dev.demitasse.EmbeddingModel;
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.embedding.DimensionAwareEmbeddingModel;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingInputType;
import dev.langchain4j.model.embedding.request.EmbeddingParameter;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.request.EmbeddingRequestParameters;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.langchain4j.model.embedding.response.EmbeddingResponseMetadata;
import dev.langchain4j.model.output.TokenUsage;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** LangChain4j's embedding model on an encoder in this process; texts of a call are computed together. */
public final class DemitasseEmbeddingModel extends DimensionAwareEmbeddingModel {
    private final EmbeddingModel model;
    private final Map<EmbeddingInputType, String> prefixes;
    private final EmbeddingRequestParameters parameters;
    private final List<EmbeddingModelListener> listeners;

    /**
     * On a model that stays the caller's.
     *
     * @param model the encoder, which the caller closes after the last call
     */
    public DemitasseEmbeddingModel(EmbeddingModel model) {
        this(builder(model));
    }

    private DemitasseEmbeddingModel(Builder builder) {
        model = builder.model;
        prefixes = new EnumMap<>(builder.prefixes);
        parameters = builder.type == null
                ? EmbeddingRequestParameters.EMPTY
                : EmbeddingRequestParameters.builder().inputType(builder.type).build();
        listeners = builder.listeners;
    }

    /**
     * {@return a builder of an embedding model}
     *
     * @param model the encoder, which the caller closes after the last call
     */
    public static Builder builder(EmbeddingModel model) {
        return new Builder(model);
    }

    /** Makes embedding models. */
    public static final class Builder {
        private final EmbeddingModel model;
        private final Map<EmbeddingInputType, String> prefixes = new EnumMap<>(EmbeddingInputType.class);
        private @Nullable EmbeddingInputType type;
        private List<EmbeddingModelListener> listeners = List.of();

        private Builder(EmbeddingModel model) {
            this.model = Objects.requireNonNull(model, "model");
        }

        /**
         * What stands before texts of a type, as models were trained to have it: {@code "query: "} before queries and
         * {@code "passage: "} before documents, for E5. Texts of requests that name no type have nothing before them.
         *
         * @param of queries or documents
         * @param prefix with the blank behind it, if it has one
         * @return this builder
         */
        public Builder prefix(EmbeddingInputType of, String prefix) {
            prefixes.put(of, Objects.requireNonNull(prefix, "prefix"));
            return this;
        }

        /**
         * The type of texts of requests that name none: a retriever and an ingestor have a model each then, both on
         * one encoder.
         *
         * @param usual queries or documents
         * @return this builder
         */
        public Builder inputType(EmbeddingInputType usual) {
            type = Objects.requireNonNull(usual, "usual");
            return this;
        }

        /**
         * Who is told of requests and responses.
         *
         * @param told all listeners; they replace those that were set before
         * @return this builder
         */
        public Builder listeners(List<EmbeddingModelListener> told) {
            listeners = List.copyOf(told);
            return this;
        }

        /** {@return the embedding model} */
        public DemitasseEmbeddingModel build() {
            return new DemitasseEmbeddingModel(this);
        }
    }

    @Override
    public EmbeddingResponse doEmbed(EmbeddingRequest request) {
        EmbeddingInputType type = request.inputType();
        String prefix = type == null ? "" : prefixes.getOrDefault(type, "");
        List<int[]> tokens = request.inputs().stream()
                .map(EmbeddingInput::text)
                .map(text -> model.tokenizer().encodeWhole(prefix + text, false))
                .toList();
        int count = tokens.stream()
                .mapToInt(ids -> Math.min(ids.length, model.maximumTokens()))
                .sum();
        return EmbeddingResponse.builder()
                .embeddings(Arrays.stream(model.embedTokens(tokens))
                        .map(Embedding::from)
                        .toList())
                .metadata(EmbeddingResponseMetadata.builder()
                        .modelName(modelName())
                        .tokenUsage(new TokenUsage(count))
                        .build())
                .build();
    }

    @Override
    public EmbeddingRequestParameters defaultRequestParameters() {
        return parameters;
    }

    @Override
    public Set<EmbeddingParameter<?>> supportedParameters() {
        return Set.of(EmbeddingRequestParameters.INPUT_TYPE);
    }

    @Override
    public List<EmbeddingModelListener> listeners() {
        return listeners;
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
