package dev.demitasse.springai.autoconfigure;

import dev.demitasse.Model;
import dev.demitasse.springai.DemitasseChatModel;
import dev.demitasse.springai.DemitasseTokenCountEstimator;
import io.micrometer.observation.ObservationRegistry;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.ai.tokenizer.TokenCountEstimator;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.context.annotation.Bean;

/**
 * Spring AI's chat model on the model that {@link DemitasseModelAutoConfiguration} loads, or on one of the
 * application's own; unless {@code spring.ai.model.chat} names another.
 */
@AutoConfiguration(after = DemitasseModelAutoConfiguration.class)
@ConditionalOnSingleCandidate(Model.class)
@ConditionalOnProperty(name = SpringAIModelProperties.CHAT_MODEL, havingValue = "demitasse", matchIfMissing = true)
public final class DemitasseChatAutoConfiguration {
    /** Made by Spring. */
    public DemitasseChatAutoConfiguration() {}

    /**
     * {@return the chat model}
     *
     * @param model that answers
     * @param properties options of requests
     * @param observations who observes them
     * @param convention how observations are named
     */
    @Bean
    @ConditionalOnMissingBean
    public DemitasseChatModel demitasseChatModel(
            Model model,
            DemitasseChatProperties properties,
            ObjectProvider<ObservationRegistry> observations,
            ObjectProvider<ChatModelObservationConvention> convention) {
        return DemitasseChatModel.builder(model)
                .options(properties.chatOptions())
                .observationRegistry(observations.getIfUnique(() -> ObservationRegistry.NOOP))
                .observationConvention(convention.getIfAvailable())
                .build();
    }

    /**
     * {@return counts tokens as the model does}
     *
     * @param model whose tokens
     */
    @Bean
    @ConditionalOnMissingBean(TokenCountEstimator.class)
    public DemitasseTokenCountEstimator demitasseTokenCountEstimator(Model model) {
        return new DemitasseTokenCountEstimator(model);
    }
}
