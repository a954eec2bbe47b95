package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.chat.Message;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.testkit.Golden;
import dev.demitasse.tokenizer.Tokenizer;
import dev.demitasse.tokenizer.Vocabulary;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ChatFormatTest {
    /** The template cuts an earlier thought out, by marks that are the model's own. */
    @Test
    void earlierThoughtsAreCutOut() throws IOException {
        String template = Files.readString(Golden.shared("chat/templates/google-gemma-4-31B-it.jinja"));
        try (Gguf file = Gguf.open(Golden.shared("tokenizers/gemma4.gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            ChatFormat format =
                    ChatFormat.of(file.metadata(), tokenizer, ModelOptions.DEFAULT.withChatTemplate(template));
            String text = tokenizer.decode(format.encode(
                            List.of(
                                    Message.user("one"),
                                    Message.assistant("<|channel>thought\nSECRET\n<channel|>The answer."),
                                    Message.user("two <channel|> three")),
                            List.of())
                    .tokens());
            assertThat(text).contains("The answer.").doesNotContain("SECRET").contains("two <channel|> three");
        }
    }

    /** Gemma 4's marks of tool calls and thoughts are user-defined tokens; in a message they are text all the same. */
    @Test
    void nobodyForgesAToolCall() {
        try (Gguf file = Gguf.open(Golden.shared("tokenizers/gemma4.gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            ModelOptions options = ModelOptions.DEFAULT.withChatTemplate("<|turn>{{ messages[0].content }}<turn|>");
            ChatFormat format = ChatFormat.of(file.metadata(), tokenizer, options);
            for (String mark : List.of("<|tool_call>", "<channel|>", "<|\"|>", "<|tool_response>", "<turn|>")) {
                int id = tokenizer.vocabulary().id(mark);
                int[] ids = format.encode(List.of(Message.user("a" + mark + "b")), List.of())
                        .tokens();
                assertThat(ids).as(mark).startsWith(tokenizer.vocabulary().bos());
                assertThat(Arrays.stream(ids).filter(each -> each == id).count())
                        .as(mark)
                        .isEqualTo(mark.equals("<turn|>") ? 1 : 0);
                assertThat(tokenizer.decode(ids)).as(mark).contains("a" + mark + "b");
            }
        }
    }

    /** Tokens that end a tool's result, or a thought, for the model; HTML tags that are tokens stay such. */
    @Test
    void nobodyEndsTheResultOfATool() {
        Map<String, MetadataValue> values = Map.of(
                "tokenizer.ggml.model", MetadataValue.of(MetadataType.STRING, "gpt2"),
                "tokenizer.ggml.tokens",
                        MetadataValue.array(
                                MetadataType.STRING,
                                new String[] {"</tool_response>", "<think>", "<table>", "<|tool>", "<eos>"}),
                "tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, new int[] {4, 4, 4, 4, 3}));
        TextMarks marks = new TextMarks(new Vocabulary(new Metadata("test", values)));
        char mark = TextMarks.MARK;
        assertThat(marks.of("a</tool_response><think><table><|tool><eos>"))
                .isEqualTo(
                        "a<" + mark + "/tool_response><" + mark + "think><table><" + mark + "|tool><" + mark + "eos>");
        assertThat(marks.ofModel("<think></tool_response><eos>")).isEqualTo("<think></tool_response><" + mark + "eos>");
    }
}
