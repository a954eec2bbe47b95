package dev.demitasse.dialect;

import java.util.List;

/** What of an answer was not told yet, with the kind of each character. */
final class MarkedText {
    private final StringBuilder text = new StringBuilder();
    private final StringBuilder kinds = new StringBuilder(); // codes

    void append(String piece, AnswerParser.Kind kind) {
        text.append(piece);
        kinds.repeat(kind.code(), piece.length());
    }

    int length() {
        return text.length();
    }

    char charAt(int place) {
        return text.charAt(place);
    }

    private boolean isControl(int place) {
        return kinds.charAt(place) == AnswerParser.Kind.CONTROL.code();
    }

    /** Where a mark is from a place on; below 0 where it is not. */
    int find(Mark mark, int from) {
        int place = text.indexOf(mark.text(), from);
        while (place >= 0 && !admits(mark, place, mark.text().length())) {
            place = text.indexOf(mark.text(), place + 1);
        }
        return place;
    }

    private boolean admits(Mark mark, int place, int length) {
        for (int i = 0; i < length; i++) {
            if (!mark.admits(i, kinds.charAt(place + i))) {
                return false;
            }
        }
        return true;
    }

    boolean startsWith(String other) {
        return text.length() >= other.length()
                && text.substring(0, other.length()).equals(other);
    }

    /** How many characters belong to no mark that may yet become whole. */
    int certain(List<Mark> possible) {
        int keep = 0;
        for (Mark mark : possible) {
            for (int length = Math.min(mark.text().length() - 1, text.length()); length > keep; length--) {
                int from = text.length() - length;
                if (mark.text().startsWith(text.substring(from)) && admits(mark, from, length)) {
                    keep = length;
                }
            }
        }
        return text.length() - keep;
    }

    /** The first character that is neither white space nor of a control token; below 0 where none is. */
    int firstSolid() {
        int place = 0;
        while (place < text.length() && (isControl(place) || Character.isWhitespace(text.charAt(place)))) {
            place++;
        }
        return place == text.length() ? -1 : place;
    }

    /** Whether the first characters are white space, or of control tokens. */
    boolean isBlank(int length) {
        int solid = firstSolid();
        return solid < 0 || solid >= length;
    }

    /** The first characters without the control tokens that they end with. */
    String section(int length) {
        int to = length;
        while (to > 0 && isControl(to - 1)) {
            to--;
        }
        return text.substring(0, to);
    }

    /** Takes the first characters away. */
    void take(int length) {
        text.delete(0, length);
        kinds.delete(0, length);
    }

    /** The same; returns those that are of no control token. */
    String takeText(int length) {
        StringBuilder taken = new StringBuilder();
        for (int i = 0; i < length; i++) {
            if (!isControl(i)) {
                taken.append(text.charAt(i));
            }
        }
        take(length);
        return taken.toString();
    }
}
