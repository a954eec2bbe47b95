import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Writes a Java class of what headers of C++, CUDA or OpenCL say, so that nothing that both sides must agree on stands
 * twice: constants and functions of one expression are taken over as they are, enums and structures become constants
 * (the number of a name, the index of a field in words of 64 bits, or of 32 where all fields are of that size). What it
 * cannot express, templates and classes, it leaves out, so that a use of it does not compile. {@code FINGERPRINT} is
 * the beginning of the SHA-256 of all headers, which libraries built from them carry too.
 */
public class Boundary {
    /** Of C++; of OpenCL C, where only an enum gives an array its length. */
    private static final Pattern CONSTANT =
            Pattern.compile("(?:constexpr int|enum \\{) (\\w+) = ([^;{}]+?)(?:;| \\};)");

    private static final Pattern FUNCTION =
            Pattern.compile("(?m)(?:constexpr (?:DEVICE )?|^)int (\\w+)\\(([^)]*)\\) \\{\\s*return ([^;{}]+);\\s*\\}");
    private static final Pattern ENUM = Pattern.compile("enum class (\\w+) : (\\w+) \\{([^}]*)\\};");
    /** Of OpenCL C, whose constants of all enums share one space, so that each begins with its enum's word and "_". */
    private static final Pattern PLAIN_ENUM = Pattern.compile("enum (\\w+) \\{([^}=]*)\\};");

    private static final Pattern STRUCT =
            Pattern.compile("(template <[^{;]*?>\\s*)?struct (?:alignas\\(\\d+\\) )?(\\w+) \\{");
    private static final Pattern FIELD =
            Pattern.compile("(?:alignas\\(8\\) )?(?:const )?([\\w:]+)(\\s*\\*[*\\s]*(?:const\\s*\\*?\\s*)?|\\s+)"
                    + "(\\w+)(?:\\[(\\w+)\\])?");
    private static final Pattern NAME = Pattern.compile("\\b[A-Za-z_]\\w*\\b");

    private final Map<String, Integer> sizes = new HashMap<>(Map.of(
            "int64_t",
            8,
            "uint64_t",
            8,
            "Real",
            8,
            "int32_t",
            4,
            "uint32_t",
            4,
            "float",
            4,
            "int16_t",
            2,
            "uint16_t",
            2));

    {
        sizes.putAll(Map.of("long", 8, "ulong", 8, "int", 4, "uint", 4)); // OpenCL C
    }

    private final Map<String, Struct> structs = new LinkedHashMap<>();
    private final Set<String> known = new HashSet<>();
    private final Map<String, String> constants = new HashMap<>();
    private final StringBuilder out = new StringBuilder();

    private record Field(String name, String type, int at, int size) {}

    private record Struct(List<Field> fields, int size) {}

    /**
     * Arguments: package, folder for generated sources, and the headers, those first that others use; a folder stands
     * for its files by name.
     */
    public static void main(String[] args) throws Exception {
        List<Path> headers = new ArrayList<>();
        for (String header : List.of(args).subList(2, args.length)) {
            try (Stream<Path> files = Files.walk(Path.of(header), 1)) {
                files.filter(Files::isRegularFile).sorted().forEach(headers::add);
            }
        }
        Path file = Path.of(args[1], args[0].split("\\.")).resolve("Boundary.java");
        String text = new Boundary().generate(args[0], headers);
        if (!Files.exists(file) || !Files.readString(file).equals(text)) { // else nothing is to be compiled again
            Files.createDirectories(file.getParent());
            Files.writeString(file, text);
        }
    }

    private String generate(String packageName, List<Path> headers) throws IOException {
        out.append("package ").append(packageName).append(";\n\n");
        out.append("/** What the headers of the kernels say; generated, see java/core/src/build/java. */\n");
        out.append("@SuppressWarnings(\"all\")\nfinal class Boundary {\n    private Boundary() {}\n\n");
        out.append("    static final long FINGERPRINT = 0x")
                .append(fingerprint(headers))
                .append("L;\n");
        for (Path header : headers) {
            read(Files.readString(header));
        }
        structs.forEach(this::write);
        return out.append("}\n").toString();
    }

    /** The first 15 hexadecimal digits of the hash of all bytes. */
    static String fingerprint(List<Path> headers) throws IOException {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path header : headers) {
                digest.update(Files.readAllBytes(header));
            }
            StringBuilder hex = new StringBuilder();
            for (byte b : digest.digest()) {
                hex.append(String.format("%02x", b));
            }
            return hex.substring(0, 15);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private void read(String text) {
        String plain = text.replaceAll("//[^\n]*", "")
                .replaceAll("(?s)/\\*.*?\\*/", "")
                .replaceAll("(?m)^#.*(\\\\\n.*)*$", "");
        StringBuilder outside = new StringBuilder();
        int at = 0;
        Matcher struct = STRUCT.matcher(plain);
        while (struct.find(at)) {
            outside.append(plain, at, struct.start());
            int end = closing(plain, struct.end() - 1);
            declarations(outside.toString());
            outside.setLength(0);
            if (struct.group(1) == null && !sizes.containsKey(struct.group(2))) {
                struct(struct.group(2), plain.substring(struct.end(), end));
            }
            at = end + 1;
        }
        declarations(outside.append(plain.substring(at)).toString());
    }

    /** Index of the brace that closes the one at {@code open}. */
    private static int closing(String text, int open) {
        int depth = 0;
        for (int i = open; i < text.length(); i++) {
            depth += text.charAt(i) == '{' ? 1 : text.charAt(i) == '}' ? -1 : 0;
            if (depth == 0) {
                return i;
            }
        }
        throw new IllegalStateException(
                "a brace is not closed: " + text.substring(open, Math.min(text.length(), open + 60)));
    }

    private void declarations(String text) {
        Matcher enums = ENUM.matcher(text);
        while (enums.find()) {
            sizes.put(enums.group(1), enums.group(2).equals("int64_t") ? 8 : 4);
            writeEnum(enums.group(1), enums.group(3));
        }
        Matcher plain = PLAIN_ENUM.matcher(text);
        while (plain.find()) {
            writeEnum(plain.group(1), plain.group(2).replaceAll("\\b[A-Z]+_(?=\\w)", ""));
        }
        // Constants and functions in the order in which they stand, since they use each other.
        Matcher each = Pattern.compile(FUNCTION + "|" + CONSTANT).matcher(text);
        while (each.find()) {
            if (each.group(1) != null) {
                Set<String> names = new HashSet<>(known);
                NAME.matcher(each.group(2)).results().forEach(match -> names.add(match.group()));
                if (usesOnly(each.group(3), names)) {
                    known.add(each.group(1));
                    out.append("\n    static int ")
                            .append(each.group(1))
                            .append("(")
                            .append(each.group(2))
                            .append(") {\n        return ");
                    out.append(each.group(3).strip().replaceAll("\\s+", " ")).append(";\n    }\n");
                }
            } else if (usesOnly(each.group(5), known)) {
                known.add(each.group(4));
                constants.put(each.group(4), each.group(5).strip());
                out.append("\n    static final int ")
                        .append(each.group(4))
                        .append(" = ")
                        .append(each.group(5).strip())
                        .append(";\n");
            }
        }
    }

    private static boolean usesOnly(String expression, Set<String> names) {
        return !expression.contains("::")
                && NAME.matcher(expression).results().allMatch(match -> names.contains(match.group()));
    }

    private void struct(String name, String body) {
        List<Field> fields = new ArrayList<>();
        int size = 0;
        String rest = body;
        while (!rest.isBlank()) {
            int semicolon = rest.indexOf(';');
            int brace = rest.indexOf('{');
            if (semicolon < 0) {
                break;
            }
            String statement = rest.substring(0, semicolon).strip();
            if (brace >= 0 && brace < semicolon) { // a function, or what is no plain structure
                if (rest.substring(0, brace).indexOf('(') < 0) {
                    return;
                }
                rest = rest.substring(closing(rest, brace) + 1);
                continue;
            }
            rest = rest.substring(semicolon + 1);
            if (statement.startsWith("static ") || statement.startsWith("using ")) {
                continue;
            }
            Matcher field = FIELD.matcher(statement);
            if (!field.matches() || !field.group(2).contains("*") && !sizes.containsKey(field.group(1))) {
                return;
            }
            int each =
                    field.group(2).contains("*") || statement.startsWith("alignas(8)") ? 8 : sizes.get(field.group(1));
            String length = field.group(4) == null ? "1" : constants.getOrDefault(field.group(4), field.group(4));
            if (!length.matches("\\d+")) {
                return;
            }
            int count = Integer.parseInt(length);
            fields.add(
                    new Field(field.group(3), field.group(2).contains("*") ? "" : field.group(1), size, each * count));
            size += each * count;
        }
        if (!fields.isEmpty()) {
            sizes.put(name, size);
            structs.put(name, new Struct(fields, size));
        }
    }

    private void writeEnum(String name, String constants) {
        List<String> names = NAME.matcher(constants)
                .results()
                .map(match -> match.group())
                .filter(n -> !n.equals("COUNT"))
                .toList();
        out.append("\n    /** {@code ")
                .append(name)
                .append("}. */\n    static final class ")
                .append(name)
                .append(" {\n");
        for (int i = 0; i < names.size(); i++) {
            out.append("        static final int ")
                    .append(names.get(i))
                    .append(" = ")
                    .append(i)
                    .append(";\n");
        }
        out.append("        static final int COUNT = ").append(names.size()).append(";\n\n");
        out.append("        /** The number of a constant of Java's that has the same name. */\n");
        out.append("        static int of(Enum<?> constant) {\n            return switch (constant.name()) {\n");
        for (int i = 0; i < names.size(); i++) {
            out.append("                case \"")
                    .append(names.get(i))
                    .append("\" -> ")
                    .append(i)
                    .append(";\n");
        }
        out.append("                default -> throw new IllegalStateException(\"the kernels know no ")
                .append(name);
        out.append(" \" + constant);\n            };\n        }\n    }\n");
    }

    private void write(String name, Struct struct) {
        boolean words = struct.fields.stream().allMatch(field -> field.size % 8 == 0);
        if (!words && !struct.fields.stream().allMatch(field -> field.size % 4 == 0)) {
            return;
        }
        out.append("\n    /** {@code ")
                .append(name)
                .append("}: indices of fields, in ")
                .append(words ? "64" : "32")
                .append(" bits. */\n");
        out.append("    static final class ").append(name).append(" {\n");
        writeFields("", struct, 0, words ? 8 : 4);
        out.append("        static final int ")
                .append(words ? "WORDS" : "INTS")
                .append(" = ")
                .append(struct.size / (words ? 8 : 4))
                .append(";\n    }\n");
    }

    private void writeFields(String prefix, Struct struct, int at, int unit) {
        for (Field field : struct.fields) {
            String name = prefix + field.name.toUpperCase(java.util.Locale.ROOT);
            out.append("        static final int ")
                    .append(name)
                    .append(" = ")
                    .append((at + field.at) / unit)
                    .append(";\n");
            Struct inner = structs.get(field.type);
            if (inner != null && inner.size == field.size) {
                writeFields(name + "_", inner, at + field.at, unit);
            }
        }
    }
}
