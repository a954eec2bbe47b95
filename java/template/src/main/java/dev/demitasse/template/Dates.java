package dev.demitasse.template;

import java.time.ZonedDateTime;
import java.time.format.TextStyle;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Dates as C's {@code strftime} writes them in the locale "C". */
final class Dates {
    private Dates() {}

    /** {@code now} in the form of {@code format}; a {@code -} after the percent sign leaves out padding. */
    static String strftime(String format, ZonedDateTime now) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                out.append(c);
                continue;
            }
            char field = format.charAt(++i);
            boolean bare = field == '-' && i + 1 < format.length();
            String text = field(bare ? format.charAt(++i) : field, now);
            out.append(bare ? text.replaceFirst("^[0 ]+(?=.)", "") : text);
            Budget.length(out.length());
        }
        return out.toString();
    }

    private static String field(char field, ZonedDateTime now) {
        int hour12 = (now.getHour() + 11) % 12 + 1;
        int weekday = now.getDayOfWeek().getValue() % 7; // Sunday is 0
        return switch (field) {
            case 'Y' -> String.valueOf(now.getYear());
            case 'y' -> padded(now.getYear() % 100, 2, '0');
            case 'C' -> padded(now.getYear() / 100, 2, '0');
            case 'm' -> padded(now.getMonthValue(), 2, '0');
            case 'd' -> padded(now.getDayOfMonth(), 2, '0');
            case 'e' -> padded(now.getDayOfMonth(), 2, ' ');
            case 'H' -> padded(now.getHour(), 2, '0');
            case 'k' -> padded(now.getHour(), 2, ' ');
            case 'I' -> padded(hour12, 2, '0');
            case 'l' -> padded(hour12, 2, ' ');
            case 'M' -> padded(now.getMinute(), 2, '0');
            case 'S' -> padded(now.getSecond(), 2, '0');
            case 'f' -> padded(now.getNano() / 1000, 6, '0');
            case 'p' -> now.getHour() < 12 ? "AM" : "PM";
            case 'P' -> now.getHour() < 12 ? "am" : "pm";
            case 'B' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            case 'b', 'h' -> now.getMonth().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
            case 'A' -> now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            case 'a' -> now.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
            case 'j' -> padded(now.getDayOfYear(), 3, '0');
            case 'U' -> padded((now.getDayOfYear() + 6 - weekday) / 7, 2, '0');
            case 'W' -> padded((now.getDayOfYear() + 6 - (weekday + 6) % 7) / 7, 2, '0');
            case 'V' -> padded(now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR), 2, '0');
            case 'G' -> String.valueOf(now.get(IsoFields.WEEK_BASED_YEAR));
            case 'u' -> String.valueOf(now.getDayOfWeek().getValue());
            case 'w' -> String.valueOf(weekday);
            case 's' -> String.valueOf(now.toEpochSecond());
            case 'D', 'x' -> strftime("%m/%d/%y", now);
            case 'F' -> strftime("%Y-%m-%d", now);
            case 'T', 'X' -> strftime("%H:%M:%S", now);
            case 'R' -> strftime("%H:%M", now);
            case 'r' -> strftime("%I:%M:%S %p", now);
            case 'c' -> strftime("%a %b %e %H:%M:%S %Y", now);
            case 'Z', 'z' -> ""; // a date without a time zone, as templates get it
            case 'n' -> "\n";
            case 't' -> "\t";
            case '%' -> "%";
            default -> throw new JinjaException("ValueError: strftime_now does not know %" + field + ".");
        };
    }

    private static String padded(int number, int width, char fill) {
        String text = String.valueOf(number);
        return String.valueOf(fill).repeat(Math.max(0, width - text.length())) + text;
    }
}
