package dev.demitasse.dialect;

import dev.demitasse.chat.Tool;
import dev.demitasse.json.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How models write calls of tools: what begins and ends a section of them in an answer, and how one is read. Which one a
 * model has is found by having its template write a call ({@link ToolProbe}); so those whose marks are the same need
 * not be told apart here. In the order in which they are tried.
 */
enum ToolFormat {
    /** Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4, Reka, Bielik: {@code {"name": …, "arguments": …}}. */
    TAGGED_JSON("<tool_call>", "</tool_call>", Syntax.JSON),
    /** Qwen3-Coder, Qwen 3.5, Step 3.5: {@code <function=…><parameter=…>…}. */
    TAGGED_FUNCTION(
            "<tool_call>",
            "</tool_call>",
            Syntax.PARAMETERS,
            "<function=(?<name>[^>\n]+)>",
            "<parameter=(?<key>[^>\n]+)>\n?(?<value>.*?)\n?</parameter>"),
    /** GLM 4.5 and later: the name, then {@code <arg_key>…</arg_key><arg_value>…</arg_value>}. */
    TAGGED_KEYS(
            "<tool_call>",
            "</tool_call>",
            Syntax.PARAMETERS,
            "\\A\\s*(?<name>[^\\s<{]+)",
            "<arg_key>(?<key>.*?)</arg_key>\\s*<arg_value>(?<value>.*?)</arg_value>"),
    /** Apriel. */
    TAGGED_LIST("<tool_calls>", "</tool_calls>", Syntax.JSON),
    /** Apertus: {@code [{"name": {arguments}}]}. */
    APERTUS("<|tools_prefix|>", "<|tools_suffix|>", Syntax.JSON),
    /** Command R7B and later. */
    ACTION("<|START_ACTION|>", "<|END_ACTION|>", Syntax.JSON),
    /** Command R. */
    ACTION_BLOCK("Action:\n```json", "```", Syntax.JSON),
    /** GigaChat 3.1. */
    FUNCTION_CALL("<|function_call|>", null, Syntax.JSON),
    /** GigaChat 3. */
    FUNCTION_ROLE("function call<|role_sep|>", null, Syntax.JSON),
    /** Mistral up to Nemo. */
    MISTRAL_LIST("[TOOL_CALLS]", null, Syntax.JSON),
    /** Mistral Small 3.2, Ministral 3, Devstral. */
    MISTRAL_NAMED("[TOOL_CALLS]", null, Syntax.NAMED, "(?<name>[\\w.-]+)(?:\\[CALL_ID\\](?<id>\\w+))?\\[ARGS\\]", null),
    /** Kimi K2. */
    KIMI(
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            Syntax.NAMED,
            "<\\|tool_call_begin\\|>\\s*(?<id>(?:functions\\.)?(?<name>[\\w.-]+?)(?::\\d+)?)\\s*"
                    + "<\\|tool_call_argument_begin\\|>",
            null),
    /** DeepSeek R1. */
    DEEPSEEK_FUNCTION(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            Syntax.NAMED,
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>(?<name>[\\w.-]+)\\s*```json",
            null),
    /** DeepSeek V3.1. */
    DEEPSEEK_NAMED(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            Syntax.NAMED,
            "<｜tool▁call▁begin｜>(?<name>[\\w.-]+)<｜tool▁sep｜>",
            null),
    /** DeepSeek V3.2. */
    DEEPSEEK_MARKUP(
            "<｜DSML｜function_calls>",
            "</｜DSML｜function_calls>",
            Syntax.PARAMETERS,
            Patterns.DEEPSEEK_CALL,
            Patterns.DEEPSEEK_PARAMETER),
    /** DeepSeek V4. */
    DEEPSEEK_MARKUP_4(
            "<｜DSML｜tool_calls>",
            "</｜DSML｜tool_calls>",
            Syntax.PARAMETERS,
            Patterns.DEEPSEEK_CALL,
            Patterns.DEEPSEEK_PARAMETER),
    /** MiniMax M2. */
    INVOKE(
            "<minimax:tool_call>",
            "</minimax:tool_call>",
            Syntax.PARAMETERS,
            "<invoke name=\"(?<name>[^\"\n]+)\">",
            "<parameter name=\"(?<key>[^\"\n]+)\">\n?(?<value>.*?)\n?</parameter>"),
    /** MiroThinker. */
    SERVER_TOOL(
            "<use_mcp_tool>",
            "</use_mcp_tool>",
            Syntax.NAMED,
            "<tool_name>\\s*(?<name>[\\w.-]+)\\s*</tool_name>\\s*<arguments>",
            null),
    /** gpt-oss (Harmony): a message of a channel to a function. */
    HARMONY(" to=functions.", "<|call|>", Syntax.NAMED, "\\A(?<name>[\\w.-]+)[^{]*?<\\|message\\|>", null),
    /** Gemma 4: {@code call:name{key:<|"|>text<|"|>}}. */
    GEMMA("<|tool_call>", "<tool_call|>", Syntax.GEMMA),
    /** Granite 3. */
    GRANITE("<|tool_call|>", null, Syntax.JSON),
    /** LFM2: {@code [name(key="text")]}. */
    LFM("<|tool_call_start|>", "<|tool_call_end|>", Syntax.PYTHON),
    /** Functionary 3.1. */
    FUNCTION_TAG("<function=", "</function>", Syntax.NAMED, "\\A(?<name>[\\w.-]+)>", null),
    /** Functionary 3.2: a recipient for each part of an answer, the person being all. */
    RECIPIENT(">>>", null, Syntax.NAMED, "(?:\\A|>>>)(?<name>[\\w.-]+)\n", null, ">>>all\n"),
    /** Llama 3: an answer that is nothing else. */
    BARE_JSON("{", null, Syntax.JSON),
    /** Llama 4, and Llama 3 by other templates: the same. */
    BARE_PYTHON("[", null, Syntax.PYTHON);

    /** How calls are written within a section. */
    private enum Syntax {
        /** Objects, or lists of them, of a name and of arguments. */
        JSON,
        /** A header that has the name, then an object. */
        NAMED,
        /** A header that has the name, then pairs of keys and values. */
        PARAMETERS,
        /** Calls of functions with named arguments. */
        PYTHON,
        /** The same in Gemma 4's notation. */
        GEMMA
    }

    private static final class Patterns {
        static final String DEEPSEEK_CALL = "<｜DSML｜invoke name=\"(?<name>[^\"\n]+)\">";
        static final String DEEPSEEK_PARAMETER = "<｜DSML｜parameter name=\"(?<key>[^\"\n]+)\"(?: string=\"(?:true|"
                + "(?<json>false))\")?>(?<value>.*?)</｜DSML｜parameter>";
    }

    private static final List<String> NAME_KEYS = List.of("name", "tool_name", "function");
    private static final List<String> ARGUMENT_KEYS = List.of("arguments", "parameters", "args");
    private static final List<String> ID_KEYS = List.of("id", "tool_call_id", "call_id");

    private final String begin;
    private final @Nullable String end;
    private final Syntax syntax;
    private final @Nullable Pattern header;
    private final @Nullable Pattern parameter;
    private final @Nullable String prose;

    ToolFormat(String begin, @Nullable String end, Syntax syntax) {
        this(begin, end, syntax, null, null, null);
    }

    ToolFormat(String begin, @Nullable String end, Syntax syntax, @Nullable String header, @Nullable String parameter) {
        this(begin, end, syntax, header, parameter, null);
    }

    ToolFormat(
            String begin,
            @Nullable String end,
            Syntax syntax,
            @Nullable String header,
            @Nullable String parameter,
            @Nullable String prose) {
        this.begin = begin;
        this.end = end;
        this.syntax = syntax;
        this.header = header == null ? null : Pattern.compile(header);
        this.parameter = parameter == null ? null : Pattern.compile(parameter, Pattern.DOTALL);
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
     * The calls of a section; none where it cannot be read whole.
     *
     * @param section what stands between begin and end; if it is bare, with its begin
     * @param tools what there is to call; where calls have no marks, others are none
     */
    List<Call> read(String section, List<Tool> tools) {
        List<Call> calls;
        try {
            calls = switch (syntax) {
                case JSON -> json(section, tools);
                case NAMED -> named(section);
                case PARAMETERS -> parameters(section, tools);
                case PYTHON -> python(section);
                case GEMMA -> gemma(section);
            };
        } catch (Literals.MalformedException e) {
            return List.of(); // it stays text, and is not lost
        }
        return isBare() && !calls.stream().allMatch(call -> find(tools, call.name) != null) ? List.of() : calls;
    }

    /** A call as it was read; {@code id} is null where it has none. */
    record Call(@Nullable String id, String name, Map<String, @Nullable Object> arguments) {}

    private static @Nullable Tool find(List<Tool> tools, String name) {
        return tools.stream()
                .filter(tool -> tool.name().equals(name))
                .findFirst()
                .orElse(null);
    }

    private static List<Call> json(String section, List<Tool> tools) {
        List<Call> calls = new ArrayList<>();
        int at = 0;
        while (true) {
            while (at < section.length() && section.charAt(at) != '{' && section.charAt(at) != '[') {
                at++;
            }
            if (at == section.length()) {
                return calls;
            }
            Json.Read read = Json.at(section, at);
            if (read == null) {
                return List.of();
            }
            at = read.end();
            Object whole = Objects.requireNonNull(read.value()); // it begins with a brace or a bracket
            for (Object value : whole instanceof List<?> list ? list : List.of(whole)) {
                Call call = value instanceof Map<?, ?> map ? call(map, tools) : null;
                if (call == null) {
                    return List.of();
                }
                calls.add(call);
            }
        }
    }

    private static @Nullable Call call(Map<?, ?> map, List<Tool> tools) {
        Object name = first(map, NAME_KEYS);
        if (name instanceof Map<?, ?> function) {
            return call(function, tools);
        }
        Object arguments = first(map, ARGUMENT_KEYS);
        if (name == null && map.size() == 1) {
            Map.Entry<?, ?> only = map.entrySet().iterator().next();
            name = find(tools, String.valueOf(only.getKey())) == null ? null : only.getKey();
            arguments = only.getValue();
        }
        Map<String, @Nullable Object> object = arguments == null ? Map.of() : object(arguments);
        return name instanceof String text && object != null
                ? new Call(first(map, ID_KEYS) instanceof String id ? id : null, text, object)
                : null;
    }

    private static @Nullable Object first(Map<?, ?> map, List<String> keys) {
        return keys.stream().filter(map::containsKey).findFirst().map(map::get).orElse(null);
    }

    /** Arguments as an object, or as its text. */
    @SuppressWarnings("unchecked")
    private static @Nullable Map<String, @Nullable Object> object(Object arguments) {
        return switch (arguments) {
            case String text -> Json.object(text);
            case Map<?, ?> map -> (Map<String, @Nullable Object>) map;
            default -> null;
        };
    }

    @SuppressWarnings("unchecked")
    private List<Call> named(String section) {
        List<Call> calls = new ArrayList<>();
        Matcher matcher = Objects.requireNonNull(header).matcher(section);
        int at = 0;
        while (matcher.find(at)) {
            Json.Read read = Json.at(section, matcher.end());
            if (read == null || !(read.value() instanceof Map)) {
                return List.of();
            }
            Map<String, @Nullable Object> arguments = (Map<String, @Nullable Object>) read.value();
            calls.add(new Call(group(matcher, "id"), matcher.group("name"), arguments));
            at = read.end();
        }
        return calls;
    }

    private static @Nullable String group(Matcher matcher, String name) {
        return matcher.namedGroups().containsKey(name) ? matcher.group(name) : null;
    }

    private List<Call> parameters(String section, List<Tool> tools) {
        List<Call> calls = new ArrayList<>();
        Matcher call = Objects.requireNonNull(header).matcher(section);
        int at = 0;
        while (call.find(at)) {
            String name = call.group("name").strip();
            int end = call.end();
            int next = call.find(end) ? call.start() : section.length();
            Matcher pair = Objects.requireNonNull(parameter).matcher(section).region(end, next);
            Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
            while (pair.find()) {
                String key = pair.group("key").strip();
                String value = pair.group("value");
                boolean text = pair.namedGroups().containsKey("json")
                        ? pair.group("json") == null
                        : isText(find(tools, name), key);
                arguments.put(key, text ? value : value(value));
            }
            calls.add(new Call(null, name, arguments));
            at = next;
        }
        return calls;
    }

    /** A value as JSON or as one of Python's words; else it is a text. */
    private static @Nullable Object value(String text) {
        Json.Read read = Json.whole(text);
        if (read != null) {
            return read.value();
        }
        return switch (text.strip()) {
            case "True" -> true;
            case "False" -> false;
            case "None" -> null;
            default -> text;
        };
    }

    /** Whether a tool's schema says that a parameter is a text, which is then not taken for a number. */
    private static boolean isText(@Nullable Tool tool, String key) {
        return tool != null
                && tool.schema().get("properties") instanceof Map<?, ?> properties
                && properties.get(key) instanceof Map<?, ?> schema
                && "string".equals(schema.get("type"));
    }

    private static List<Call> python(String section) throws Literals.MalformedException {
        List<Call> calls = new ArrayList<>();
        Literals literals = new Literals(section);
        boolean list = literals.skip("[");
        while (!(list ? literals.skip("]") : literals.atEnd())) {
            String name = literals.word();
            literals.expect("(");
            calls.add(new Call(null, name, literals.pairs("=", ")")));
            literals.skip(",");
        }
        return literals.atEnd() ? calls : List.of();
    }

    private static List<Call> gemma(String section) throws Literals.MalformedException {
        List<Call> calls = new ArrayList<>();
        Literals literals = new Literals(section);
        while (!literals.atEnd()) {
            literals.expect("call:");
            String name = literals.word();
            literals.expect("{");
            calls.add(new Call(null, name, literals.pairs(":", "}")));
        }
        return calls;
    }
}
