package dev.demitasse.springai.autoconfigure;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.springai.DemitasseEmbeddingModel;
import io.micrometer.observation.ObservationRegistry;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.context.annotation.Bean;

/**
 * Spring AI's embedding model on the encoder that {@link DemitasseModelAutoConfiguration} loads, or on one of the
 * application's own; unless {@code spring.ai.model.embedding} names another.
 */
@AutoConfiguration(after = DemitasseModelAutoConfiguration.class)
@ConditionalOnSingleCandidate(EmbeddingModel.class)
@ConditionalOnProperty(name = SpringAIModelProperties.EMBEDDING_MODEL, havingValue = "demitasse", matchIfMissing = true)
public final class DemitasseEmbeddingAutoConfiguration {
    /** Made by Spring. */
    public DemitasseEmbeddingAutoConfiguration() {}

    /**
     * {@return the embedding model}
     *
     * @param model that makes vectors
     * @param observations who observes requests
     * @param convention how observations are named
     */
    @Bean
    @ConditionalOnMissingBean
    public DemitasseEmbeddingModel demitasseEmbeddingModel(
            EmbeddingModel model,
            ObjectProvider<ObservationRegistry> observations,
            ObjectProvider<EmbeddingModelObservationConvention> convention) {
        return new DemitasseEmbeddingModel(
                model, observations.getIfUnique(() -> ObservationRegistry.NOOP), convention.getIfAvailable());
    }
}
