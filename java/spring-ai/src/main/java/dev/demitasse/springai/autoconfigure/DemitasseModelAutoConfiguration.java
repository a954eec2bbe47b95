package dev.demitasse.springai.autoconfigure;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.Model;
import dev.demitasse.Models;
import dev.demitasse.springai.autoconfigure.DemitasseProperties.PullModelStrategy;
import java.nio.file.Path;
import java.util.Objects;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/** Demitasse's own beans: the models that were named, which are closed with the application. */
@AutoConfiguration
@EnableConfigurationProperties({
    DemitasseProperties.class,
    DemitasseChatProperties.class,
    DemitasseEmbeddingProperties.class
})
public final class DemitasseModelAutoConfiguration {
    private static final System.Logger LOG = System.getLogger("dev.demitasse");

    /** Made by Spring. */
    public DemitasseModelAutoConfiguration() {}

    /**
     * {@return the model that answers chats}
     *
     * @param common where models come from, and what they run on
     * @param chat which model
     */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    @ConditionalOnProperty("spring.ai.demitasse.chat.model")
    public Model demitasseModel(DemitasseProperties common, DemitasseChatProperties chat) {
        String name = Objects.requireNonNull(chat.model());
        Path file = file(name, common);
        long begin = System.nanoTime();
        Model model = Models.load(
                name, chat.modelOptions().withBackend(common.backend()).withDevice(common.options()));
        loaded(file, begin, model.backend(), model.deviceDescription());
        return model;
    }

    /**
     * {@return the model that makes vectors of texts}
     *
     * @param common where models come from, and what they run on
     * @param embedding which model
     */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    @ConditionalOnProperty("spring.ai.demitasse.embedding.model")
    public EmbeddingModel demitasseEncoder(DemitasseProperties common, DemitasseEmbeddingProperties embedding) {
        Path file = file(Objects.requireNonNull(embedding.model()), common);
        long begin = System.nanoTime();
        EmbeddingModel model = EmbeddingModel.load(
                file, embedding.options().withBackend(common.backend()).withDevice(common.options()));
        loaded(file, begin, model.backend(), model.deviceDescription());
        return model;
    }

    private static Path file(String name, DemitasseProperties common) {
        return common.pullModelStrategy() == PullModelStrategy.NEVER ? Models.find(name) : Models.fetch(name);
    }

    private static void loaded(Path file, long begin, String backend, String description) {
        LOG.log(
                System.Logger.Level.INFO,
                "Loaded {0} in {1} ms: {2} ({3})",
                file.getFileName(),
                (System.nanoTime() - begin) / 1_000_000,
                backend,
                description);
    }
}
