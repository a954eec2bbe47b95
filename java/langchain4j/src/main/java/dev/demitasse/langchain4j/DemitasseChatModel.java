package dev.demitasse.langchain4j;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * LangChain4j's {@link ChatModel} on a model in this process. Thread-safe; requests of several threads are decoded
 * together, and what prompts have in common at their beginning is computed once. Knows temperature, top-k, top-p,
 * penalties, stop sequences, a maximum of tokens, tools, of which a call may be required (its arguments follow the
 * tool's schema then), and answers in JSON (of any object, or of a schema, whose properties come in its order); refuses
 * by {@link dev.langchain4j.exception.UnsupportedFeatureException} tools beside an answer in JSON, the name of another
 * model and contents that are no text. Errors are those of {@link dev.demitasse.Session#chat}.
 */
public final class DemitasseChatModel implements ChatModel {
    private final ChatRequestParameters parameters;
    private final List<ChatModelListener> listeners;
    private final Conversations conversations;

    private DemitasseChatModel(Builder builder) {
        parameters = builder.parameters;
        listeners = builder.listeners;
        conversations = builder.conversations();
    }

    /**
     * {@return a builder of a chat model that runs a model}
     *
     * @param model stays the caller's, who closes it after the last request
     */
    public static Builder builder(Model model) {
        return new Builder(model);
    }

    /** What a chat model is made of. */
    public static final class Builder extends ChatModelBuilder<Builder> {
        private Builder(Model model) {
            super(model);
        }

        @Override
        Builder self() {
            return this;
        }

        /** {@return a new chat model} */
        public DemitasseChatModel build() {
            return new DemitasseChatModel(this);
        }
    }

    @Override
    public ChatResponse doChat(ChatRequest request) {
        Generation answer = conversations.answer(conversations.read(request), text -> {}, new Conversations.Ticket());
        return Requests.response(Objects.requireNonNull(answer, "answer"), conversations.modelName());
    }

    @Override
    public ChatRequestParameters defaultRequestParameters() {
        return parameters;
    }

    @Override
    public List<ChatModelListener> listeners() {
        return listeners;
    }

    @Override
    public Set<Capability> supportedCapabilities() {
        return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
    }

    @Override
    public ModelProvider provider() {
        return ModelProvider.OTHER;
    }

    /**
     * What chat models have in common.
     *
     * @param <B> the builder itself
     */
    public abstract static class ChatModelBuilder<B> {
        private final Model model;
        private GenerationOptions options;
        private String cacheSalt = "";
        /** Of requests that do not say otherwise. */
        ChatRequestParameters parameters = ChatRequestParameters.builder().build();
        /** Told of requests and answers. */
        List<ChatModelListener> listeners = List.of();

        ChatModelBuilder(Model model) {
            this.model = model;
            options = model.generationOptions();
        }

        abstract B self();

        /**
         * What is generated where neither a request nor the default parameters say otherwise; the model's own ({@link
         * Model#generationOptions}) where nothing is given. Tools are those of requests.
         *
         * @param generation has no tools
         * @return this builder
         * @throws UsageException where it has tools
         */
        public B options(GenerationOptions generation) {
            if (!generation.tools().isEmpty()) {
                throw new UsageException("Tools come with requests, or with the default request parameters.");
            }
            options = generation;
            return self();
        }

        /**
         * Parameters of requests that do not say otherwise.
         *
         * @param defaults each counts where a request has none of its own
         * @return this builder
         */
        public B defaultRequestParameters(ChatRequestParameters defaults) {
            Requests.requireNoModelName(defaults.modelName());
            parameters = defaults;
            return self();
        }

        /**
         * Who is told of requests and answers.
         *
         * @param told all listeners; they replace those that were set before
         * @return this builder
         */
        public B listeners(List<ChatModelListener> told) {
            listeners = List.copyOf(told);
            return self();
        }

        /**
         * Who shares what is computed of prompts that begin alike: sessions and chat models of the same salt ({@link
         * Model#newSession(String)}).
         *
         * @param salt such as the name of a tenant
         * @return this builder
         */
        public B cacheSalt(String salt) {
            cacheSalt = Objects.requireNonNull(salt, "salt");
            return self();
        }

        Conversations conversations() {
            return new Conversations(model, options, cacheSalt);
        }
    }
}
