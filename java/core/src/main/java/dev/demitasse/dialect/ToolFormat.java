package dev.demitasse.dialect;

import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.json.Json;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * How models write calls of tools: what begins and ends a section of them in an answer, and how they are written in it.
 * Which one a model has is found by having its template write a call ({@link ToolUse}); so those whose marks are the
 * same need not be told apart here. In the order in which they are tried.
 */
enum ToolFormat {
    /** Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4, Reka, Bielik. */
    TAGGED_JSON("<tool_call>", "</tool_call>", new CallSyntax.JsonCalls()),
    /** Qwen3-Coder, Qwen 3.5, Step 3.5. */
    TAGGED_FUNCTION("<tool_call>", "</tool_call>", Tagged.FUNCTION),
    /** Seed-OSS. */
    SEED("<seed:tool_call>", "</seed:tool_call>", Tagged.FUNCTION),
    /** GLM 4.5 and later. */
    TAGGED_KEYS(
            "<tool_call>",
            "</tool_call>",
            CallSyntax.ParameterCalls.of(
                    "(?<name>[\\w.-]{1,128}+)",
                    "<arg_key>(?<key>[^<]{1,256}+)</arg_key>\\s*+<arg_value>",
                    "</arg_value>",
                    null)),
    /** Apriel. */
    TAGGED_LIST("<tool_calls>", "</tool_calls>", new CallSyntax.JsonCalls()),
    /** Nemotron Nano 2. */
    TAGGED_CALLS("<TOOLCALL>", "</TOOLCALL>", new CallSyntax.JsonCalls()),
    /** OLMo 3: {@code name(key="text")}, one a line. */
    OLMO("<function_calls>", "</function_calls>", new CallSyntax.PythonCalls(false)),
    /** Apertus: the tool's name is the key. */
    APERTUS("<|tools_prefix|>", "<|tools_suffix|>", new CallSyntax.JsonCalls()),
    /** Command R7B and later. */
    ACTION("<|START_ACTION|>", "<|END_ACTION|>", new CallSyntax.JsonCalls()),
    /** Command R. */
    ACTION_BLOCK("Action:\n```json", "```", new CallSyntax.JsonCalls()),
    /** GigaChat 3.1. */
    FUNCTION_CALL("<|function_call|>", null, new CallSyntax.JsonCalls()),
    /** GigaChat 3. */
    FUNCTION_ROLE("function call<|role_sep|>", null, new CallSyntax.JsonCalls()),
    /** Mistral up to Nemo. */
    MISTRAL_LIST("[TOOL_CALLS]", null, new CallSyntax.JsonCalls()),
    /** Mistral Small 3.2, Ministral 3, Devstral. */
    MISTRAL_NAMED(
            "[TOOL_CALLS]",
            null,
            CallSyntax.NamedCalls.of(
                    "(?<name>[\\w.-]{1,128}+)(?:\\[CALL_ID\\]\\w{1,64}+)?+\\[ARGS\\]", "\\[TOOL_CALLS\\]")),
    /** Kimi K2, whose template wants its ids. */
    KIMI(
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            CallSyntax.NamedCalls.of(
                    "<\\|tool_call_begin\\|>\\s*+(?<id>(?:functions\\.)?+(?<name>[\\w.-]{1,128}+)(?::\\d{1,9}+)?+)\\s*+"
                            + "<\\|tool_call_argument_begin\\|>",
                    "<\\|tool_call_end\\|>")),
    /** DeepSeek R1. */
    DEEPSEEK_FUNCTION(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            CallSyntax.NamedCalls.of(
                    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>(?<name>[\\w.-]{1,128}+)\\s*+```json",
                    "```(?:\\s*+<｜tool▁call▁end｜>)?+")),
    /** DeepSeek V3.1. */
    DEEPSEEK_NAMED(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            CallSyntax.NamedCalls.of("<｜tool▁call▁begin｜>(?<name>[\\w.-]{1,128}+)<｜tool▁sep｜>", "<｜tool▁call▁end｜>")),
    /** DeepSeek V3.2. */
    DEEPSEEK_MARKUP("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", DeepSeek.MARKUP),
    /** DeepSeek V4. */
    DEEPSEEK_MARKUP_4("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", DeepSeek.MARKUP),
    /** MiniMax M2. */
    INVOKE(
            "<minimax:tool_call>",
            "</minimax:tool_call>",
            CallSyntax.ParameterCalls.of(
                    "<invoke name=\"(?<name>[^\"\n]{1,128}+)\">",
                    "<parameter name=\"(?<key>[^\"\n]{1,256}+)\">",
                    "</parameter>",
                    "</invoke>")),
    /** MiroThinker. */
    SERVER_TOOL(
            "<use_mcp_tool>",
            "</use_mcp_tool>",
            CallSyntax.NamedCalls.of(
                    "(?:<server_name>[^<]{0,128}+</server_name>\\s*+)?+<tool_name>\\s*+(?<name>[\\w.-]{1,128}+)\\s*+"
                            + "</tool_name>\\s*+<arguments>",
                    "</arguments>")),
    /** gpt-oss, as its template writes calls; answers are read by {@link HarmonyParser}. */
    HARMONY(
            " to=functions.",
            "<|call|>",
            CallSyntax.NamedCalls.of("(?<name>[\\w.-]{1,128}+)[^{]{0,256}?<\\|message\\|>", null)),
    /** Gemma 4: {@code call:name{key:<|"|>text<|"|>}}. */
    GEMMA("<|tool_call>", "<tool_call|>", new CallSyntax.GemmaCalls()),
    /** Granite 3. */
    GRANITE("<|tool_call|>", null, new CallSyntax.JsonCalls()),
    /** LFM2: {@code [name(key="text")]}. */
    LFM("<|tool_call_start|>", "<|tool_call_end|>", new CallSyntax.PythonCalls(true)),
    /** Functionary 3.1. */
    FUNCTION_TAG("<function=", "</function>", CallSyntax.NamedCalls.of("(?<name>[\\w.-]{1,128}+)>", null)),
    /** Functionary 3.2: a recipient for each part of an answer, the person being all. */
    RECIPIENT(">>>", null, CallSyntax.NamedCalls.of("(?:>>>)?+(?<name>[\\w.-]{1,128}+)\n", null), ">>>all\n"),
    /** Llama 3: an answer that is nothing else. */
    BARE_JSON("{", null, new CallSyntax.JsonCalls()),
    /** Llama 4, and Llama 3 by other templates: the same. */
    BARE_PYTHON("[", null, new CallSyntax.PythonCalls(true));

    private static final class Tagged {
        static final CallSyntax FUNCTION = CallSyntax.ParameterCalls.of(
                "<function=(?<name>[^>\n]{1,128}+)>",
                "<parameter=(?<key>[^>\n]{1,256}+)>",
                "</parameter>",
                "</function>");
    }

    private static final class DeepSeek {
        static final CallSyntax MARKUP = CallSyntax.ParameterCalls.of(
                "<｜DSML｜invoke name=\"(?<name>[^\"\n]{1,128}+)\">",
                "<｜DSML｜parameter name=\"(?<key>[^\"\n]{1,256}+)\"(?: string=\"(?:(?<text>true)|(?<json>false))\")?+>",
                "</｜DSML｜parameter>",
                "</｜DSML｜invoke>");
    }

    private final String begin;
    private final @Nullable String end;
    private final CallSyntax syntax;
    private final @Nullable String prose;

    ToolFormat(String begin, @Nullable String end, CallSyntax syntax) {
        this(begin, end, syntax, null);
    }

    ToolFormat(String begin, @Nullable String end, CallSyntax syntax, @Nullable String prose) {
        this.begin = begin;
        this.end = end;
        this.syntax = syntax;
        this.prose = prose;
    }

    /** What begins a section. */
    String begin() {
        return begin;
    }

    /** What ends it; null where the answer's end does. */
    @Nullable
    String end() {
        return end;
    }

    /** What begins a section that is no call but text; null where nothing does. */
    @Nullable
    String prose() {
        return prose;
    }

    /** Whether an answer that is a call is nothing else, and its first character is the section's first. */
    boolean isBare() {
        return begin.length() == 1;
    }

    /**
     * The calls that a section begins with.
     *
     * @param section what stands between begin and end; if it is bare, with its begin
     * @param tools what there is to call; where calls have no marks, others are none, and nothing may follow
     * @param ended whether the end follows
     */
    CallSyntax.Reading read(String section, List<Tool> tools, boolean ended) {
        CallSyntax.Reading reading = syntax.read(section, tools, ended);
        boolean sure = !isBare()
                || section.substring(reading.end()).isBlank()
                        && reading.calls().stream().allMatch(call -> ToolSchema.find(tools, call.name()) != null);
        return sure ? reading : new CallSyntax.Reading(List.of(), 0);
    }

    /** Whether a call is an object of JSON, its name included. */
    boolean writesJson() {
        return syntax instanceof CallSyntax.JsonCalls;
    }

    /** Calls as JSON, or as Python where that is the format: for templates that do not write them themselves. */
    String write(List<ToolCall> calls) {
        return syntax instanceof CallSyntax.PythonCalls(boolean listed)
                ? calls.stream()
                        .map(call -> call.name()
                                + call.values().entrySet().stream()
                                        .map(entry -> entry.getKey() + "=" + Literals.write(entry.getValue()))
                                        .collect(Collectors.joining(", ", "(", ")")))
                        .collect(Collectors.joining(listed ? ", " : "\n", listed ? "[" : "", listed ? "]" : ""))
                : Json.write(calls.stream()
                        .map(call -> {
                            Map<String, @Nullable Object> entry = new LinkedHashMap<>();
                            entry.put("name", call.name());
                            entry.put("arguments", call.values());
                            return entry;
                        })
                        .toList());
    }
}
