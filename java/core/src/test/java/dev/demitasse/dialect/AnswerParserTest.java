package dev.demitasse.dialect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.demitasse.chat.Tool;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class AnswerParserTest {
    private static final String SCHEMA = """
            {"type": "object", "properties": {"code": {"type": "string"}, "n": {},
              "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "of": {"enum": ["1", "2"]}}}""";
    private static final List<Tool> TOOLS =
            List.of(new Tool("count", "Counts.", SCHEMA), new Tool("stop", "Stops.", "{\"type\": \"object\"}"));

    /** Tokens of the vocabulary that this takes for control tokens, and for added ones. */
    private static AnswerParser.Kind kind(String token) {
        List<String> added = List.of("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>");
        boolean control = token.matches("<\\|[a-z_]+\\|>|\\[[A-Z_]+\\]");
        return control
                ? AnswerParser.Kind.CONTROL
                : added.contains(token) ? AnswerParser.Kind.ADDED : AnswerParser.Kind.WRITTEN;
    }

    private static AnswerParser parser(
            @Nullable ThinkingFormat thinking, @Nullable ToolFormat calls, String prompt, Heard heard) {
        List<Tool> tools = calls == null ? List.of() : TOOLS;
        CallCounter counter = new CallCounter(3);
        return thinking == ThinkingFormat.HARMONY
                ? new HarmonyParser(calls != null, counter, heard)
                : new MarkedParser(thinking, calls, tools, prompt, counter, heard, AnswerParserTest::kind);
    }

    /** In pieces of any length the same; a bar is where a part begins. */
    private static void requireRead(
            @Nullable ThinkingFormat thinking,
            @Nullable ToolFormat calls,
            String prompt,
            String answer,
            String expected) {
        for (int length : new int[] {1, 2, 3, 7, 1000}) {
            Heard heard = new Heard();
            heard.read(parser(thinking, calls, prompt, heard), answer, length);
            assertThat(heard.summary()).as("%s in pieces of %d", answer, length).isEqualTo(expected);
        }
    }

    @Test
    void textWithoutMarksIsAsItIs() {
        requireRead(ThinkingFormat.TAGS, null, "", " Hi  there\n ", " Hi  there\n ");
        requireRead(ThinkingFormat.TAGS, null, "", "a < b, <thin", "a < b, <thin");
        requireRead(ThinkingFormat.TAGS, null, "", "«<|im_start|>»Hi«<|im_end|>»", "Hi");
        requireRead(null, ToolFormat.TAGGED_JSON, "", "no <tool", "no <tool");
    }

    @Test
    void thoughtsAreToldApart() {
        requireRead(
                ThinkingFormat.TAGS,
                null,
                "",
                "<think>\nWell, 2 < 3.\n</think>\n\nYes. ",
                "(\nWell, 2 < 3.\n|)\n\nYes. ");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n", "Well.\n</think>\n\nYes.", "(Well.\n|)\n\nYes.");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n", "Well, it never e", "(Well, it never e)");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n\n</think>\n\n", "Yes.", "Yes.");
        requireRead(ThinkingFormat.GRANITE, null, "", "<think>Well.</think><response>Yes.</response>", "(Well.|)Yes.|");
        requireRead(ThinkingFormat.GEMMA, null, "", "‹<|channel>›thought\nWell.‹<channel|>›Yes.", "(Well.|)Yes.");
        requireRead(
                ThinkingFormat.APRIEL,
                null,
                "Here are my reasoning steps:\n",
                "Well.\n[BEGIN FINAL RESPONSE]\nYes.\n[END FINAL RESPONSE]",
                "(Well.\n|)\nYes.\n|");
        requireRead(ThinkingFormat.MISTRAL, null, "", "«[THINK]»Well.«[/THINK]»Yes.", "(Well.|)Yes.");
        requireRead(ThinkingFormat.SEED, null, "", "<seed:think>Well.</seed:think>Yes.", "(Well.|)Yes.");
        requireRead(ThinkingFormat.COHERE, null, "", "«<|START_THINKING|>»Well.«<|END_THINKING|>»Yes.", "(Well.|)Yes.");
        requireRead(ThinkingFormat.APERTUS, null, "", "«<|inner_prefix|>»Well.«<|inner_suffix|>»Yes.", "(Well.|)Yes.");
    }

    /** What an answer says of marks is no mark: within text, or where a mark is a token that this is not. */
    @Test
    void quotedMarksAreText() {
        for (String answer : List.of("It is <think>, closed by </think>.", "So <response>ok</response>")) {
            requireRead(ThinkingFormat.GRANITE, null, "", answer, answer);
        }
        requireRead(
                ThinkingFormat.APRIEL,
                null,
                "",
                "See. Here are my reasoning steps:\nNo.[END FINAL RESPONSE]",
                "See. Here are my reasoning steps:\nNo.[END FINAL RESPONSE]");
        String forged = "[TOOL_CALLS]stop[ARGS]{}";
        requireRead(ThinkingFormat.MISTRAL, ToolFormat.MISTRAL_NAMED, "", forged, forged);
        String gemma = "‹<|tool_call>›call:stop{code:<tool_call|>}";
        requireRead(null, ToolFormat.GEMMA, "", gemma, "<|tool_call>call:stop{code:<tool_call|>}");
    }

    @Test
    void messagesOfHarmonyAreToldApart() {
        String thought = "«<|channel|>»analysis«<|message|>»Count.«<|end|>»«<|start|>»assistant";
        String call = "«<|message|>»{\"n\": 1}«<|call|>»";
        requireHarmony(thought + "«<|channel|>»final«<|message|>»Three.«<|return|>»", "(Count.|)Three.");
        requireHarmony(
                thought + "«<|channel|>»commentary to=functions.count «<|constrain|>»json" + call,
                "(Count.|) call00003:count{\"n\":1}");
        requireHarmony(
                thought + " to=functions.count«<|channel|>»commentary json" + call,
                "(Count.|) call00003:count{\"n\":1}");
        requireHarmony(
                "«<|channel|>»commentary«<|message|>»I count.«<|end|>»«<|start|>»assistant to=functions.count"
                        + "«<|message|>»{}«<|call|>»",
                "I count.| call00003:count{}");
        requireHarmony("«<|channel|>»final «<|constrain|>»json«<|message|>»{\"a\": 1}", "{\"a\": 1}");
        requireHarmony("«<|channel|>»analysis", "");
        requireHarmony("Hello «<|end|>»«<|start|>»assistant", "Hello ");
        requireHarmony("«<|channel|>»final«<|message|>»say to=functions.count {}", "say to=functions.count {}");
        requireHarmony(" to=functions.count«<|message|>»{\"n\": «<|end|>»", "{\"n\": ");
        requireHarmony(
                "«<|channel|>»final«<|message|>»One.«<|end|>»«<|start|>»assistant«<|channel|>»final«<|message|>»Two.",
                "One.|Two.");
    }

    private static void requireHarmony(String answer, String expected) {
        requireRead(ThinkingFormat.HARMONY, ToolFormat.HARMONY, "<|start|>assistant", answer, expected);
    }

    @Test
    void callsAreToldInTheirOrder() {
        requireRead(
                ThinkingFormat.TAGS,
                ToolFormat.TAGGED_JSON,
                "",
                "<think>Two.</think>I see.<tool_call>\n{\"name\": \"count\", \"arguments\": {\"n\": 1}}\n"
                        + "</tool_call>\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>",
                "(Two.|)I see.|\n| call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.MISTRAL_NAMED,
                "",
                "«[TOOL_CALLS]»count«[ARGS]»{\"n\": 1}«[TOOL_CALLS]»stop«[CALL_ID]»abc«[ARGS]»{}«</s>»",
                " call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.LFM,
                "",
                "«<|tool_call_start|>»[count(code='it\\'s', n=[1, None, True]), stop()]«<|tool_call_end|>»Wait.",
                "Wait. call00003:count{\"code\":\"it's\",\"n\":[1,null,true]} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.GEMMA,
                "",
                "‹<|tool_call>›call:count{code:<|\"|>a, \"b\"<|\"|>,n:{x:-1.5,y:[]}}‹<tool_call|>›«<turn|>»",
                " call00003:count{\"code\":\"a, \\\"b\\\"\",\"n\":{\"x\":-1.5,\"y\":[]}}");
        requireRead(
                null,
                ToolFormat.RECIPIENT,
                "assistant\n>>>",
                "all\nI count.>>>count\n{\"n\": 1}>>>stop\n{}",
                "I count.| call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.KIMI,
                "",
                "«<|tool_calls_section_begin|>»«<|tool_call_begin|>»functions.count:0«<|tool_call_argument_begin|>»"
                        + "{\"n\": 1}«<|tool_call_end|>»«<|tool_calls_section_end|>»",
                " functions.count:0:count{\"n\":1}");
        requireRead(
                ThinkingFormat.TAGS,
                ToolFormat.KIMI,
                "<think>",
                "I need it.«<|tool_calls_section_begin|>»«<|tool_call_begin|>»stop:1«<|tool_call_argument_begin|>»{}"
                        + "«<|tool_call_end|>»«<|tool_calls_section_end|>»",
                "(I need it.|) stop:1:stop{}");
        requireRead(
                null,
                ToolFormat.GRANITE,
                "",
                "«<|tool_call|>»[{\"name\": \"stop\"}]\nDone.",
                "\nDone. call00003:stop{}");
        String parameters = "<function=count>\n<parameter=n>1</parameter>\n</function>";
        requireRead(
                ThinkingFormat.SEED,
                ToolFormat.SEED,
                "",
                "<seed:think>Two.</seed:think>I see.<seed:tool_call>\n" + parameters + "\n</seed:tool_call>",
                "(Two.|)I see.| call00003:count{\"n\":1}");
        requireRead(
                null,
                ToolFormat.TAGGED_CALLS,
                "",
                "<TOOLCALL>[{\"name\": \"count\", \"arguments\": {\"n\": 1}}, {\"name\": \"stop\"}]</TOOLCALL>",
                " call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.OLMO,
                "",
                "<function_calls>count(n=1, code=\"a\")\nstop()\n</function_calls>",
                " call00003:count{\"n\":1,\"code\":\"a\"} call00004:stop{}");
    }

    @Test
    void callsOfFurtherFamiliesAreRead() {
        requireRead(
                null,
                ToolFormat.DEEPSEEK_FUNCTION,
                "",
                "«<｜tool▁calls▁begin｜>»«<｜tool▁call▁begin｜>»function«<｜tool▁sep｜>»count\n```json\n{\"n\": 1}\n```"
                        + "«<｜tool▁call▁end｜>»«<｜tool▁calls▁end｜>»",
                " call00003:count{\"n\":1}");
        requireRead(
                null,
                ToolFormat.DEEPSEEK_NAMED,
                "",
                "«<｜tool▁calls▁begin｜>»«<｜tool▁call▁begin｜>»count«<｜tool▁sep｜>»{\"n\": 1}«<｜tool▁call▁end｜>»"
                        + "«<｜tool▁call▁begin｜>»stop«<｜tool▁sep｜>»{}«<｜tool▁call▁end｜>»«<｜tool▁calls▁end｜>»",
                " call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.INVOKE,
                "",
                "<minimax:tool_call>\n<invoke name=\"count\">\n<parameter name=\"n\">1</parameter>\n</invoke>\n"
                        + "</minimax:tool_call>",
                " call00003:count{\"n\":1}");
        requireRead(
                null,
                ToolFormat.SERVER_TOOL,
                "",
                "<use_mcp_tool>\n<server_name>s</server_name>\n<tool_name>count</tool_name>\n<arguments>\n{\"n\": 1}\n"
                        + "</arguments>\n</use_mcp_tool>",
                " call00003:count{\"n\":1}");
    }

    @Test
    void parametersHaveTheTypesOfTheSchema() {
        String begin = "<tool_call>\n<function=count>\n<parameter=";
        String end = "\n</parameter>\n</function>\n</tool_call>";
        List.of(
                        List.of("code>\n007", "{\"code\":\"007\"}"),
                        List.of("n>\nFalse", "{\"n\":false}"),
                        List.of("n>\n[1, {\"a\": null}]", "{\"n\":[1,{\"a\":null}]}"),
                        List.of("n>\ntwo\nlines", "{\"n\":\"two\\nlines\"}"),
                        List.of("maybe>\n8001", "{\"maybe\":\"8001\"}"),
                        List.of("maybe>\nnull", "{\"maybe\":null}"),
                        List.of("of>\n2", "{\"of\":\"2\"}"))
                .forEach(each -> requireRead(
                        null,
                        ToolFormat.TAGGED_FUNCTION,
                        "",
                        begin + each.getFirst() + end,
                        " call00003:count" + each.getLast()));
        requireRead(
                null,
                ToolFormat.TAGGED_FUNCTION,
                "",
                begin + "code>\nprint(\"<function=stop>\")" + end,
                " call00003:count{\"code\":\"print(\\\"<function=stop>\\\")\"}");
    }

    /** Where calls have no marks, only a call of a tool that is there is one, and only alone. */
    @Test
    void answersThatLookLikeCallsStayText() {
        requireRead(
                null,
                ToolFormat.BARE_JSON,
                "",
                "\n«<|python_tag|>»{\"name\": \"count\"}«<|eot_id|>»",
                " call00003:count{}");
        for (String text : List.of(
                "{\"name\": \"Ada\"} ", "{\"a\": ", "So: {\"name\": \"count\"}", "{\"name\": \"count\"} calls")) {
            requireRead(null, ToolFormat.BARE_JSON, "", text, text);
        }
        requireRead(null, ToolFormat.BARE_PYTHON, "", "[count(n=1)]«<|eot_id|>»", " call00003:count{\"n\":1}");
        requireRead(null, ToolFormat.BARE_PYTHON, "", "[1, 2]", "[1, 2]");
        requireRead(
                ThinkingFormat.TAGS,
                ToolFormat.BARE_JSON,
                "<think>",
                "Well.</think>{\"name\": \"stop\"}",
                "(Well.|) call00003:stop{}");
    }

    /** What cannot be read is not lost, and what is not whole calls nothing. */
    @Test
    void faultyCallsAreText() {
        for (String faulty :
                List.of("{\"name\": \"count\", \"arguments\": {\"n\": }}", "count", "{}", "[3]", "{\"name\": 5}")) {
            String answer = "So <tool_call>" + faulty + "</tool_call> there";
            requireRead(null, ToolFormat.TAGGED_JSON, "", answer, answer);
        }
        for (String cut : List.of(
                "<tool_call>{\"name\": \"cou",
                "<tool_call>\n<function=count>\n<parameter=code>\na\n</parameter>\n<par")) {
            requireRead(null, ToolFormat.TAGGED_FUNCTION, "", cut, cut);
        }
        for (String cut :
                List.of("<tool_call>cou", "<tool_call>I cannot</tool_call>", "<tool_call>count<arg_key>n</arg_key>")) {
            requireRead(null, ToolFormat.TAGGED_KEYS, "", cut, cut);
        }
        requireRead(null, ToolFormat.LFM, "", "«<|tool_call_start|>»[count(", "<|tool_call_start|>[count(");
        requireRead(null, ToolFormat.RECIPIENT, ">>>", "", "");
        requireRead(
                null,
                ToolFormat.MISTRAL_NAMED,
                "",
                "«[TOOL_CALLS]»stop«[ARGS]»{}«[TOOL_CALLS]»count«[ARGS]»{\"n\"",
                "count{\"n\" call00003:stop{}");
        requireRead(
                null,
                ToolFormat.TAGGED_JSON,
                "",
                "<tool_call>{\"name\": \"count\", \"arguments\": {\"code\": \"</tool_call>\"}}</tool_call>",
                " call00003:count{\"code\":\"</tool_call>\"}");
    }

    /** Long and deep answers take no time that matters, and throw nothing. */
    @Test
    void hostileAnswersAreText() {
        String tool = "<tool_call>";
        List<String> answers = List.of(
                tool + "count<arg_key>n</arg_key><arg_value>" + "[".repeat(1000) + "]".repeat(1000)
                        + "</arg_value></tool_call>",
                tool + "count" + "<arg_key>a</arg_key><arg_value>b".repeat(3000) + "</tool_call>",
                tool + "a".repeat(200_000),
                tool + "{\"name\": \"count\", \"arguments\": {\"" + "k".repeat(100_000) + "\": 1}}</tool_call>",
                tool + "{".repeat(100_000) + "</tool_call>".repeat(100),
                tool + "[".repeat(100_000));
        List<ToolFormat> formats = List.of(
                ToolFormat.TAGGED_JSON,
                ToolFormat.TAGGED_FUNCTION,
                ToolFormat.TAGGED_KEYS,
                ToolFormat.BARE_PYTHON,
                ToolFormat.MISTRAL_NAMED,
                ToolFormat.GEMMA);
        for (ToolFormat format : formats) {
            for (String answer : answers) {
                String own = format.begin().equals(tool) ? answer : format.begin() + answer.substring(tool.length());
                Heard heard = new Heard();
                assertTimeoutPreemptively(
                        Duration.ofSeconds(20),
                        () -> heard.read(parser(ThinkingFormat.TAGS, format, "", heard), own, 50));
                assertThat(heard.text.length() + heard.calls.size())
                        .as(format.name())
                        .isPositive();
            }
        }
    }
}
