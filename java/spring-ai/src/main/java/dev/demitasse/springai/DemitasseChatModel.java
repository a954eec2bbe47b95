package dev.demitasse.springai;

import dev.demitasse.AnswerListener;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.MessageAggregator;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.chat.observation.ChatModelObservationDocumentation;
import org.springframework.ai.chat.observation.DefaultChatModelObservationConvention;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;

/**
 * Spring AI's {@link ChatModel} on a model in this process. Thread-safe; requests of several threads are decoded
 * together, and what prompts have in common at their beginning is computed once. Tools are told to the model, and its
 * calls come back in the answer: {@code ChatClient} runs them. Answers with an output schema follow it, for certain;
 * such have no tools.
 * Errors are those of {@link Session#chat}; what is not known, media or another model's name, is a
 * {@link UsageException}.
 */
public final class DemitasseChatModel implements ChatModel {
    private static final ChatModelObservationConvention CONVENTION = new DefaultChatModelObservationConvention();
    /** What observations call this. */
    static final String PROVIDER = "demitasse";

    private final Model model;
    private final String name;
    private final GenerationOptions base;
    private final DemitasseChatOptions options;
    private final ObservationRegistry observations;
    private final @Nullable ChatModelObservationConvention convention;

    private DemitasseChatModel(Builder builder) {
        model = builder.model;
        DemitasseChatOptions given = builder.options;
        String wanted = given.getModel();
        name = wanted == null ? model.architecture() : wanted;
        options = given.mutate().model(name).build();
        base = builder.base == null ? model.generationOptions() : builder.base;
        observations = builder.observations;
        convention = builder.convention;
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
    public static final class Builder {
        private final Model model;
        private DemitasseChatOptions options = DemitasseChatOptions.builder().build();
        private @Nullable GenerationOptions base;
        private ObservationRegistry observations = ObservationRegistry.NOOP;
        private @Nullable ChatModelObservationConvention convention;

        private Builder(Model model) {
            this.model = model;
        }

        /**
         * Options of requests that do not say otherwise.
         *
         * @param defaults each counts where a request has none of its own; its model is the name that answers go by
         * @return this builder
         */
        public Builder options(DemitasseChatOptions defaults) {
            options = defaults;
            return this;
        }

        /**
         * What Spring AI has no options for: deadlines, drafts, a context's policy.
         *
         * @param generation counts where the options are null
         * @return this builder
         */
        public Builder generationOptions(GenerationOptions generation) {
            base = generation;
            return this;
        }

        /**
         * Who observes requests.
         *
         * @param registry as Micrometer has it
         * @return this builder
         */
        public Builder observationRegistry(ObservationRegistry registry) {
            observations = registry;
            return this;
        }

        /**
         * How observations are named.
         *
         * @param names null for Spring AI's names
         * @return this builder
         */
        public Builder observationConvention(@Nullable ChatModelObservationConvention names) {
            convention = names;
            return this;
        }

        /** {@return a new chat model} */
        public DemitasseChatModel build() {
            return new DemitasseChatModel(this);
        }
    }

    @Override
    public DemitasseChatOptions getOptions() {
        return options;
    }

    /**
     * A request in Demitasse's words.
     *
     * @param prompt with options
     */
    private record Question(Prompt prompt, List<Message> messages, GenerationOptions options, String salt) {}

    private Question read(Prompt prompt) {
        Prompt whole = prompt.getOptions() == null
                ? prompt.mutate().chatOptions(options).build()
                : prompt;
        Requests.Asked asked = new Requests.Asked(whole.getOptions(), options);
        String wanted = asked.model();
        if (wanted != null && !wanted.equals(name)) {
            throw new UsageException("The model \"" + wanted + "\" was asked for; this one is \"" + name
                    + "\": leave the name out, or ask another chat model.");
        }
        List<Message> messages = Requests.messages(whole.getInstructions());
        if (messages.isEmpty()) {
            throw new UsageException("A prompt has no messages; there is nothing to answer.");
        }
        GenerationOptions generation = asked.generation(base);
        if (!generation.tools().isEmpty() && !model.knowsTools()) {
            throw new UnsupportedModelException("The model's chat template knows no tools, or has them called in a way"
                    + " that is not known. Ask without tools, or give another template.");
        }
        String schema = asked.outputSchema();
        Grammar grammar = schema == null || schema.isBlank() ? null : Grammar.jsonSchema(schema);
        return new Question(
                whole, messages, grammar == null ? generation : generation.withGrammar(grammar), asked.cacheSalt());
    }

    private Session open(Question question) {
        Session session = model.newSession(question.salt);
        if (question.messages.getFirst().role().equals("system")) {
            session.history(List.of()); // without the catalogue's system message
        }
        return session;
    }

    private ChatModelObservationContext context(Question question, boolean streaming) {
        return ChatModelObservationContext.builder()
                .prompt(question.prompt)
                .provider(PROVIDER)
                .streaming(streaming)
                .build();
    }

    private Observation observation(ChatModelObservationContext context) {
        Supplier<ChatModelObservationContext> supplier = () -> context;
        return ChatModelObservationDocumentation.CHAT_MODEL_OPERATION.observation(
                convention, CONVENTION, supplier, observations);
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        Question question = read(prompt);
        ChatModelObservationContext context = context(question, false);
        return observation(context).observe(() -> {
            try (Session session = open(question)) {
                Generation answer = session.chat(question.messages, question.options, text -> {});
                ChatResponse response = Requests.answer(answer, name, false);
                context.setResponse(response);
                return response;
            }
        });
    }

    /**
     * Answers piece by piece, on a virtual thread of each answer's own: one of Reactor's would be blocked by it, and
     * with it what its subscribers ask for. What ends the subscription ends the answer after its current token.
     */
    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return Flux.deferContextual(reactive -> {
            Question question = read(prompt);
            ChatModelObservationContext context = context(question, true);
            Observation observation = observation(context);
            observation.parentObservation(reactive.getOrDefault(ObservationThreadLocalAccessor.KEY, null));
            observation.start();
            Flux<ChatResponse> pieces = Flux.<ChatResponse>create(sink ->
                            Thread.ofVirtual().name("demitasse-spring-ai").start(() -> answer(question, sink)))
                    .doOnError(observation::error)
                    .doFinally(signal -> observation.stop())
                    .contextWrite(written -> written.put(ObservationThreadLocalAccessor.KEY, observation));
            return new MessageAggregator().aggregate(pieces, context::setResponse);
        });
    }

    private void answer(Question question, FluxSink<ChatResponse> sink) {
        try {
            Generation answer = answer(question, sink, open(question));
            sink.next(Requests.answer(answer, name, true));
            sink.complete();
        } catch (RuntimeException | Error e) {
            sink.error(e);
        }
    }

    private static Generation answer(Question question, FluxSink<ChatResponse> sink, Session opened) {
        try (Session session = opened) {
            sink.onDispose(session::cancel);
            return session.chat(question.messages, question.options, new AnswerListener() {
                @Override
                public void text(String piece) {
                    sink.next(Requests.text(piece));
                }

                @Override
                public void thinking(String piece) {
                    sink.next(Requests.thinking(piece));
                }
            });
        }
    }
}
