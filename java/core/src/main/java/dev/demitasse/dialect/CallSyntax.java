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
 * How calls are written one behind the other. A call is read where all of it is there, its end included, so that an
 * answer that was cut off calls nothing. Time is linear in the length of what is read.
 */
sealed interface CallSyntax {
    /** A call as it was read; {@code id} is null where it has none that matters. */
    record Call(@Nullable String id, String name, Map<String, @Nullable Object> arguments) {}

    /** The calls that something begins with, and where the last of them ends. */
    record Reading(List<Call> calls, int end) {}

    /**
     * Reads calls.
     *
     * @param text what to read
     * @param ended whether the mark of the end of all calls follows
     */
    Reading read(String text, List<Tool> tools, boolean ended);

    /** The place of the first character from {@code at} on that is no white space. */
    private static int solid(String text, int at) {
        int place = at;
        while (place < text.length() && Character.isWhitespace(text.charAt(place))) {
            place++;
        }
        return place;
    }

    /** Objects of a name and of arguments, or lists of such; or of a tool's name and its arguments alone. */
    record JsonCalls() implements CallSyntax {
        private static final List<String> NAME_KEYS = List.of("name", "tool_name", "function");
        private static final List<String> ARGUMENT_KEYS = List.of("arguments", "parameters", "args");

        @Override
        public Reading read(String text, List<Tool> tools, boolean ended) {
            List<Call> calls = new ArrayList<>();
            int end = 0;
            while (true) {
                int at = solid(text, end);
                while (!calls.isEmpty() && at < text.length() && ",;".indexOf(text.charAt(at)) >= 0) {
                    at = solid(text, at + 1);
                }
                boolean begins = at < text.length() && "{[".indexOf(text.charAt(at)) >= 0;
                Json.Read read = begins ? Json.at(text, at) : null;
                List<Call> further = read == null ? List.of() : calls(read.value(), tools);
                if (read == null || further.isEmpty()) {
                    return new Reading(calls, end);
                }
                calls.addAll(further);
                end = read.end();
            }
        }

        /** None where one of several is none. */
        private static List<Call> calls(@Nullable Object value, List<Tool> tools) {
            List<Call> calls = new ArrayList<>();
            for (Object item : value instanceof List<?> list ? list : List.of(Objects.requireNonNull(value))) {
                Call call = item instanceof Map<?, ?> map ? call(map, tools) : null;
                if (call == null) {
                    return List.of();
                }
                calls.add(call);
            }
            return calls;
        }

        private static @Nullable Call call(Map<?, ?> map, List<Tool> tools) {
            Object name = first(map, NAME_KEYS);
            if (name instanceof Map<?, ?> function) {
                return call(function, tools);
            }
            Object arguments = first(map, ARGUMENT_KEYS);
            if (name == null && map.size() == 1) {
                Map.Entry<?, ?> only = map.entrySet().iterator().next();
                boolean known = ToolSchema.find(tools, String.valueOf(only.getKey())) != null;
                name = known ? only.getKey() : null;
                arguments = only.getValue();
            }
            Map<String, @Nullable Object> object = arguments == null ? Map.of() : object(arguments);
            return name instanceof String text && object != null ? new Call(null, text, object) : null;
        }

        private static @Nullable Object first(Map<?, ?> map, List<String> keys) {
            return keys.stream()
                    .filter(map::containsKey)
                    .findFirst()
                    .map(map::get)
                    .orElse(null);
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
    }

    /**
     * A header with the name, then an object.
     *
     * @param header with the group {@code name}, and {@code id} where that matters
     * @param tail what may follow the object; null for nothing
     */
    record NamedCalls(Pattern header, @Nullable Pattern tail) implements CallSyntax {
        static NamedCalls of(String header, @Nullable String tail) {
            return new NamedCalls(Pattern.compile(header), tail == null ? null : Pattern.compile(tail));
        }

        @Override
        @SuppressWarnings("unchecked")
        public Reading read(String text, List<Tool> tools, boolean ended) {
            List<Call> calls = new ArrayList<>();
            int end = 0;
            while (true) {
                Matcher matcher = header.matcher(text).region(solid(text, end), text.length());
                Json.Read read = matcher.lookingAt() ? Json.at(text, solid(text, matcher.end())) : null;
                if (read == null || !(read.value() instanceof Map)) {
                    return new Reading(calls, end);
                }
                String id = matcher.namedGroups().containsKey("id") ? matcher.group("id") : null;
                calls.add(new Call(id, matcher.group("name"), (Map<String, @Nullable Object>) read.value()));
                end = read.end();
                if (tail != null) {
                    Matcher after = tail.matcher(text).region(solid(text, end), text.length());
                    end = after.lookingAt() ? after.end() : end;
                }
            }
        }
    }

    /**
     * A header with the name, then pairs of a key and a value.
     *
     * @param header with the group {@code name}
     * @param key what stands before a value, with the group {@code key}; and {@code text} and {@code json} where it
     *     says what the value is
     * @param valueEnd what follows it
     * @param callEnd what follows all pairs; null where that is the end of all calls, and then only tools are called
     *     that are there, since any word would do
     */
    record ParameterCalls(
            Pattern header,
            Pattern key,
            String valueEnd,
            @Nullable String callEnd) implements CallSyntax {
        static ParameterCalls of(String header, String key, String valueEnd, @Nullable String callEnd) {
            return new ParameterCalls(Pattern.compile(header), Pattern.compile(key), valueEnd, callEnd);
        }

        @Override
        public Reading read(String text, List<Tool> tools, boolean ended) {
            List<Call> calls = new ArrayList<>();
            int end = 0;
            while (true) {
                Matcher matcher = header.matcher(text).region(solid(text, end), text.length());
                if (!matcher.lookingAt()) {
                    return new Reading(calls, end);
                }
                Tool tool = ToolSchema.find(tools, matcher.group("name").strip());
                Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
                int at = solid(text, pairs(text, matcher.end(), tool, arguments));
                boolean whole =
                        callEnd == null ? ended && at == text.length() && tool != null : text.startsWith(callEnd, at);
                if (!whole) {
                    return new Reading(calls, end);
                }
                calls.add(new Call(null, matcher.group("name").strip(), arguments));
                end = at + (callEnd == null ? 0 : callEnd.length());
            }
        }

        /** Where they end. */
        private int pairs(String text, int from, @Nullable Tool tool, Map<String, @Nullable Object> arguments) {
            int at = from;
            while (true) {
                Matcher matcher = key.matcher(text).region(solid(text, at), text.length());
                int end = matcher.lookingAt() ? text.indexOf(valueEnd, matcher.end()) : -1;
                if (end < 0) {
                    return at;
                }
                String value = text.substring(matcher.end(), end);
                String name = matcher.group("key").strip();
                if (has(matcher, "text")) {
                    arguments.put(name, value);
                } else {
                    arguments.put(name, ToolSchema.value(has(matcher, "json") ? null : tool, name, value));
                }
                at = end + valueEnd.length();
            }
        }

        private static boolean has(Matcher matcher, String group) {
            return matcher.namedGroups().containsKey(group) && matcher.group(group) != null;
        }
    }

    /**
     * Calls of functions with named arguments.
     *
     * @param listed whether they are a list in brackets; else one stands behind the other
     */
    record PythonCalls(boolean listed) implements CallSyntax {
        @Override
        public Reading read(String text, List<Tool> tools, boolean ended) {
            List<Call> calls = new ArrayList<>();
            Literals literals = new Literals(text);
            try {
                if (listed) {
                    literals.expect("[");
                }
                while (listed ? !literals.skip("]") : solid(text, literals.position()) < text.length()) {
                    String name = literals.word();
                    literals.expect("(");
                    calls.add(new Call(null, name, literals.pairs("=", ")")));
                    literals.skip(",");
                }
                return new Reading(calls, literals.position());
            } catch (Literals.MalformedException e) {
                return new Reading(List.of(), 0); // the caller has it as text
            }
        }
    }

    /** Gemma 4's own notation. */
    record GemmaCalls() implements CallSyntax {
        @Override
        public Reading read(String text, List<Tool> tools, boolean ended) {
            List<Call> calls = new ArrayList<>();
            Literals literals = new Literals(text);
            int end = 0;
            try {
                while (literals.skip("call:")) {
                    String name = literals.word();
                    literals.expect("{");
                    calls.add(new Call(null, name, literals.pairs(":", "}")));
                    end = literals.position();
                }
            } catch (Literals.MalformedException e) {
                return new Reading(calls, end); // the caller has the rest as text
            }
            return new Reading(calls, end);
        }
    }
}
