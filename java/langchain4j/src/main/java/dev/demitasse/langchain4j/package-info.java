/**
 * LangChain4j's models on Demitasse.
 *
 * <pre>{@code
 * try (Model model = Model.load(Path.of("model.gguf"))) {
 *     ChatModel chat = DemitasseChatModel.builder(model).build();
 *     System.out.println(chat.chat("What is the capital of Italy?"));
 * }
 * }</pre>
 *
 * <p>{@code AiServices} of {@code dev.langchain4j:langchain4j} take such a model, with tools too.
 */
@NullMarked
package dev.demitasse.langchain4j;

import org.jspecify.annotations.NullMarked;
