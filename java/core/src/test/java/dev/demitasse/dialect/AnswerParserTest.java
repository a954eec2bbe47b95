package dev.demitasse.dialect;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.chat.Tool;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class AnswerParserTest {
    private static final List<Tool> TOOLS = List.of(
            new Tool(
                    "count",
                    "Counts.",
                    "{\"type\": \"object\", \"properties\": {\"code\": {\"type\": \"string\"}, \"n\": {}}}"),
            new Tool("stop", "Stops.", "{\"type\": \"object\"}"));

    /** In pieces of any length the same. */
    private static void requireRead(
            @Nullable ThinkingFormat thinking,
            @Nullable ToolFormat calls,
            String prompt,
            String answer,
            String expected) {
        for (int length : new int[] {1, 2, 3, 7, 1000}) {
            Heard heard = new Heard();
            List<Tool> tools = calls == null ? List.of() : TOOLS;
            heard.read(new AnswerParser(thinking, calls, tools, prompt, 3, heard), answer, length);
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
        requireRead(ThinkingFormat.TAGS, null, "", "<think>\nWell, 2 < 3.\n</think>\n\nYes. ", "(Well, 2 < 3.) Yes. ");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n", "Well.\n</think>\n\nYes.", "(Well.) Yes.");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n", "Well, it never e", "(Well, it never e) ");
        requireRead(ThinkingFormat.TAGS, null, "Q\n<think>\n\n</think>\n\n", "Yes.", "Yes.");
        requireRead(ThinkingFormat.TAGS, null, "", "<think>\n\n</think>\n\nYes.", "Yes.");
        requireRead(ThinkingFormat.GRANITE, null, "", "<think>Well.</think><response>Yes.</response>", "(Well.) Yes.");
        requireRead(ThinkingFormat.GEMMA, null, "", "«<|channel>»thought\nWell.«<channel|>»Yes.", "(Well.) Yes.");
        requireRead(
                ThinkingFormat.APRIEL,
                null,
                "Here are my reasoning steps:\n",
                "Well.\n[BEGIN FINAL RESPONSE]\nYes.\n[END FINAL RESPONSE]",
                "(Well.) Yes.\n");
    }

    @Test
    void channelsOfHarmonyAreToldApart() {
        String thought = "«<|channel|>»analysis«<|message|>»Count.«<|end|>»«<|start|>»assistant";
        requireRead(
                ThinkingFormat.HARMONY,
                null,
                "<|start|>assistant",
                thought + "«<|channel|>»final«<|message|>»Three.«<|return|>»",
                "(Count.) Three.");
        requireRead(
                ThinkingFormat.HARMONY,
                ToolFormat.HARMONY,
                "<|start|>assistant",
                thought
                        + "«<|channel|>»commentary to=functions.count «<|constrain|>»json«<|message|>»{\"n\": 1}«<|call|>»",
                "(Count.)  call00003:count{\"n\":1}");
        requireRead(
                ThinkingFormat.HARMONY,
                ToolFormat.HARMONY,
                "<|start|>assistant",
                thought + " to=functions.count«<|channel|>»commentary json«<|message|>»{\"n\": 1}«<|call|>»",
                "(Count.)  call00003:count{\"n\":1}");
        requireRead(
                ThinkingFormat.HARMONY,
                ToolFormat.HARMONY,
                "<|start|>assistant",
                "«<|channel|>»commentary«<|message|>»I count.«<|end|>»«<|start|>»assistant«<|channel|>»commentary"
                        + " to=functions.count«<|message|>»{}«<|call|>»",
                "I count. call00003:count{}");
    }

    @Test
    void callsAreToldInTheirOrder() {
        requireRead(
                ThinkingFormat.TAGS,
                ToolFormat.TAGGED_JSON,
                "",
                "<think>\nTwo.</think>\nI see. \n<tool_call>\n{\"name\": \"count\", \"arguments\": {\"n\": 1}}\n"
                        + "</tool_call>\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>",
                "(Two.) I see. call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.MISTRAL_NAMED,
                "",
                "«[TOOL_CALLS]»count[ARGS]{\"n\": 1}«[TOOL_CALLS]»stop«[CALL_ID]»abc«[ARGS]»{}«</s>»",
                " call00003:count{\"n\":1} abc:stop{}");
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
                "<|tool_call>call:count{code:<|\"|>a, \"b\"<|\"|>,n:{x:-1.5,y:[]}}<tool_call|>",
                " call00003:count{\"code\":\"a, \\\"b\\\"\",\"n\":{\"x\":-1.5,\"y\":[]}}");
        requireRead(
                null,
                ToolFormat.TAGGED_FUNCTION,
                "",
                "<tool_call>\n<function=count>\n<parameter=code>\n007\n</parameter>\n<parameter=n>\nFalse\n</parameter>\n"
                        + "</function>\n</tool_call>",
                " call00003:count{\"code\":\"007\",\"n\":false}");
        requireRead(
                null,
                ToolFormat.RECIPIENT,
                "assistant\n>>>",
                "all\nI count.>>>count\n{\"n\": 1}>>>stop\n{}",
                "I count. call00003:count{\"n\":1} call00004:stop{}");
        requireRead(
                null,
                ToolFormat.KIMI,
                "",
                "«<|tool_calls_section_begin|>»«<|tool_call_begin|>»functions.count:0«<|tool_call_argument_begin|>»{\"n\": 1}"
                        + "«<|tool_call_end|>»«<|tool_calls_section_end|>»",
                " functions.count:0:count{\"n\":1}");
    }

    /** Where calls have no marks, only a call of a tool that is there is one. */
    @Test
    void answersThatLookLikeCallsStayText() {
        requireRead(null, ToolFormat.BARE_JSON, "", "\n{\"name\": \"count\"}", " call00003:count{}");
        requireRead(null, ToolFormat.BARE_JSON, "", "{\"name\": \"Ada\"} ", "{\"name\": \"Ada\"} ");
        requireRead(null, ToolFormat.BARE_JSON, "", "{\"a\": ", "{\"a\": ");
        requireRead(null, ToolFormat.BARE_JSON, "", "So: {\"name\": \"count\"}", "So: {\"name\": \"count\"}");
        requireRead(null, ToolFormat.BARE_PYTHON, "", "[count(n=1)]", " call00003:count{\"n\":1}");
        requireRead(null, ToolFormat.BARE_PYTHON, "", "[1, 2]", "[1, 2]");
    }

    /** What cannot be read is not lost. */
    @Test
    void faultyCallsAreText() {
        for (String faulty :
                List.of("{\"name\": \"count\", \"arguments\": {\"n\": }}", "count", "{}", "[3]", "{\"name\": 5}")) {
            String answer = "So <tool_call>" + faulty + "</tool_call> there";
            requireRead(null, ToolFormat.TAGGED_JSON, "", answer, answer);
        }
        requireRead(null, ToolFormat.TAGGED_JSON, "", "<tool_call>{\"name\": \"cou", "<tool_call>{\"name\": \"cou");
        requireRead(null, ToolFormat.LFM, "", "<|tool_call_start|>[count(", "<|tool_call_start|>[count(");
        String deep = "<|tool_call>call:count{n:" + "[".repeat(100_000) + "<tool_call|>";
        requireRead(null, ToolFormat.GEMMA, "", deep.substring(0, 5000), deep.substring(0, 5000));
    }
}
