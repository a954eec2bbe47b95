package dev.demitasse.langchain4j;

import dev.demitasse.AnswerListener;
import dev.demitasse.Generation;
import dev.demitasse.Model;
import dev.demitasse.chat.ToolCall;
import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialThinking;
import dev.langchain4j.model.chat.response.PartialThinkingContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.List;
import java.util.Set;

/**
 * LangChain4j's {@link StreamingChatModel} on a model in this process: as {@link DemitasseChatModel}, with text and
 * thoughts piece by piece. A handler is called on a virtual thread, one call after the other. After a cancellation it
 * hears nothing more.
 */
public final class DemitasseStreamingChatModel implements StreamingChatModel {
    private final ChatRequestParameters parameters;
    private final List<ChatModelListener> listeners;
    private final Conversations conversations;

    private DemitasseStreamingChatModel(Builder builder) {
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
    public static final class Builder extends DemitasseChatModel.ChatModelBuilder<Builder> {
        private Builder(Model model) {
            super(model);
        }

        @Override
        Builder self() {
            return this;
        }

        /** {@return a new chat model} */
        public DemitasseStreamingChatModel build() {
            return new DemitasseStreamingChatModel(this);
        }
    }

    @Override
    public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
        Conversations.Question question = conversations.read(request); // what is refused is thrown here
        Thread.ofVirtual().name("demitasse-langchain4j").start(() -> new Answer(handler).run(question));
    }

    /** One answer on its way to its handler. */
    private final class Answer implements AnswerListener, StreamingHandle {
        private final StreamingChatResponseHandler handler;
        private final Conversations.Ticket ticket = new Conversations.Ticket();
        private int calls;

        Answer(StreamingChatResponseHandler handler) {
            this.handler = handler;
        }

        void run(Conversations.Question question) {
            try {
                Generation answer = conversations.answer(question, this, ticket);
                if (answer != null) {
                    tell(() -> handler.onCompleteResponse(Requests.response(answer, conversations.modelName())));
                }
            } catch (Throwable e) {
                tellError(e);
            }
        }

        private void tellError(Throwable error) {
            if (ticket.isCancelled()) {
                return;
            }
            try {
                handler.onError(error);
            } catch (Throwable e) { // there is nobody left to be told
                System.getLogger("dev.demitasse").log(System.Logger.Level.WARNING, "A handler's onError failed", e);
            }
        }

        /** Calls the handler; what that throws it is told, too, and the answer goes on. */
        private void tell(Runnable call) {
            if (ticket.isCancelled()) {
                return;
            }
            try {
                call.run();
            } catch (Throwable e) { // which may be something that it does not declare
                tellError(e);
            }
        }

        @Override
        public void text(String piece) {
            tell(() -> handler.onPartialResponse(new PartialResponse(piece), new PartialResponseContext(this)));
        }

        @Override
        public void thinking(String piece) {
            tell(() -> handler.onPartialThinking(new PartialThinking(piece), new PartialThinkingContext(this)));
        }

        @Override
        public void toolCall(ToolCall call) {
            int number = calls++;
            tell(() -> handler.onCompleteToolCall(new CompleteToolCall(number, Requests.request(call))));
        }

        @Override
        public void cancel() {
            ticket.cancel();
        }

        @Override
        public boolean isCancelled() {
            return ticket.isCancelled();
        }
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
}
