package dev.demitasse.template;

import org.jspecify.annotations.Nullable;

/**
 * Text marked by {@code safe} or {@code escape}: what is added to it with {@code +} is escaped for HTML, as Python's
 * Markup does. Everywhere else it is a string.
 *
 * @param text the text
 */
record SafeText(String text) {
    static String escape(String text) {
        Budget.length(text.length()
                + 4 * text.chars().filter(c -> "&<>'\"".indexOf(c) >= 0).count());
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("'", "&#39;")
                .replace("\"", "&#34;");
    }

    /** The value as a string where it is safe text, else itself. */
    static @Nullable Object plain(@Nullable Object value) {
        return value instanceof SafeText safe ? safe.text : value;
    }

    /** The sum of two values one of which is safe text. */
    static SafeText add(@Nullable Object left, @Nullable Object right) {
        String sum = escaped(left) + escaped(right);
        Budget.length(sum.length());
        return new SafeText(sum);
    }

    private static String escaped(@Nullable Object value) {
        return value instanceof SafeText safe
                ? safe.text
                : escape(Values.text(value, "what is added to a safe string"));
    }
}
