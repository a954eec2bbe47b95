package dev.demitasse.springai.autoconfigure;

import dev.demitasse.EmbeddingOptions;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The model that makes vectors of texts.
 *
 * @param model a GGUF file of an encoder, a name of the catalogue, or hf:OWNER/REPO/FILE.gguf; without one there is no
 *     embedding model
 * @param truncate whether what a text has beyond the model's positions is left out; else such a text is refused
 */
@ConfigurationProperties("spring.ai.demitasse.embedding")
public record DemitasseEmbeddingProperties(
        @Nullable String model, @DefaultValue("true") boolean truncate) {
    EmbeddingOptions options() {
        return EmbeddingOptions.DEFAULT.withTruncates(truncate);
    }
}
