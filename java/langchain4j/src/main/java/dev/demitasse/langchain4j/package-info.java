/**
 * LangChain4j's models on Demitasse.
 *
 * <pre>{@code
 * try (Model model = Model.load(Path.of("model.gguf"));
 *         DemitasseChatModel chat = DemitasseChatModel.builder(model).build()) {
 *     Assistant assistant = AiServices.builder(Assistant.class).chatModel(chat).tools(new Weather()).build();
 *     System.out.println(assistant.answer("Do I need an umbrella in Bergen?"));
 * }
 * }</pre>
 */
@NullMarked
package dev.demitasse.langchain4j;

import org.jspecify.annotations.NullMarked;
