package dev.demitasse.grammar;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Formats of strings that are regular (JSON Schema validation, section 7.3), as regular expressions. */
final class StringFormats {
    private static final String YEAR = "\\d{4}";
    private static final String LEAP_YEAR = "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
    private static final String DATE = "(" + YEAR + "-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])"
            + "|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|" + LEAP_YEAR + "-02-29)";
    private static final String LOCAL_TIME = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?";
    private static final String OFFSET = "(Z|[+-](0\\d|1[0-7]):[0-5]\\d)";
    private static final String BYTE = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
    private static final String NAME = "[A-Za-z0-9_+-]+";
    private static final String LABEL = "[A-Za-z0-9]+(-[A-Za-z0-9]+)*";
    private static final String HEX = "[0-9a-fA-F]";

    private static final Map<String, String> PATTERNS = Map.of(
            "date", DATE,
            "time", LOCAL_TIME + OFFSET,
            "date-time", DATE + "T" + LOCAL_TIME + OFFSET,
            "local-time", LOCAL_TIME,
            "local-date-time", DATE + "T" + LOCAL_TIME,
            "uuid", HEX + "{8}-" + HEX + "{4}-" + HEX + "{4}-" + HEX + "{4}-" + HEX + "{12}",
            "ipv4", BYTE + "(\\." + BYTE + "){3}",
            "email", NAME + "(\\." + NAME + ")*@" + LABEL + "(\\." + LABEL + ")+");

    private StringFormats() {}

    /** A format's texts; null where it is not known. */
    static @Nullable Expression of(String format) {
        String pattern = PATTERNS.get(format);
        return pattern == null ? null : new RegexParser(pattern).parseWhole();
    }

    /** The formats that are known, for messages. */
    static String names() {
        return String.join(", ", PATTERNS.keySet().stream().sorted().toList());
    }
}
