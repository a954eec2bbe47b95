package dev.demitasse.springai.autoconfigure;

import dev.demitasse.ModelOptions;
import dev.demitasse.kv.KvType;
import dev.demitasse.springai.DemitasseChatOptions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * The model that answers chats, and options of requests that do not say otherwise. What is not set is as the model's
 * file says, and else as Demitasse does.
 *
 * @param model a GGUF file, a name of the catalogue, or hf:OWNER/REPO/FILE.gguf; without one there is no chat model
 * @param contextLength positions that a conversation may have; the model's own, at most 4096, where it is not set
 * @param sequences conversations of full length that the cache of keys and values has room for
 * @param kvType how the cache stores numbers
 * @param templateVariables variables of the chat template, such as enable_thinking
 * @param temperature divides the logits; 0 for the most likely token
 * @param topK keeps the most likely tokens; 0 for all
 * @param topP keeps the most likely tokens whose probabilities reach it
 * @param minP keeps tokens with at least that part of the probability of the most likely one
 * @param repeatPenalty divides the logits of tokens that were there lately
 * @param frequencyPenalty is subtracted for each time a token was there lately
 * @param presencePenalty is subtracted from tokens that were there lately
 * @param maxTokens tokens of an answer at most
 * @param seed of the draws
 * @param stop texts that end an answer
 */
@ConfigurationProperties("spring.ai.demitasse.chat")
public record DemitasseChatProperties(
        @Nullable String model,
        @Nullable Integer contextLength,
        @Nullable Integer sequences,
        @Nullable KvType kvType,
        @Nullable Map<String, String> templateVariables,
        @Nullable Double temperature,
        @Nullable Integer topK,
        @Nullable Double topP,
        @Nullable Double minP,
        @Nullable Double repeatPenalty,
        @Nullable Double frequencyPenalty,
        @Nullable Double presencePenalty,
        @Nullable Integer maxTokens,
        @Nullable Long seed,
        @Nullable List<String> stop) {
    ModelOptions modelOptions() {
        ModelOptions options = ModelOptions.DEFAULT;
        options = contextLength == null ? options : options.withContextLength(contextLength);
        options = sequences == null ? options : options.withSequences(sequences);
        options = kvType == null ? options : options.withKvType(kvType);
        if (templateVariables != null) {
            Map<String, Object> variables = new LinkedHashMap<>();
            templateVariables.forEach((name, value) -> variables.put(name, ModelOptions.templateValue(value)));
            options = options.withTemplateVariables(variables);
        }
        return options;
    }

    DemitasseChatOptions chatOptions() {
        return DemitasseChatOptions.builder()
                .model(model)
                .temperature(temperature)
                .topK(topK)
                .topP(topP)
                .minP(minP)
                .repeatPenalty(repeatPenalty)
                .frequencyPenalty(frequencyPenalty)
                .presencePenalty(presencePenalty)
                .maxTokens(maxTokens)
                .seed(seed)
                .stopSequences(stop)
                .build();
    }
}
