package dev.demitasse.springai.autoconfigure;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.springai.DemitasseEmbeddingModel;
import org.springframework.ai.model.SpringAIModelProperties;
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
     */
    @Bean
    @ConditionalOnMissingBean
    public DemitasseEmbeddingModel demitasseEmbeddingModel(EmbeddingModel model) {
        return new DemitasseEmbeddingModel(model);
    }
}
