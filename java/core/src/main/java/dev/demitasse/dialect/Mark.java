package dev.demitasse.dialect;

import java.util.function.Function;

/** Characters that part an answer, of which some may have to be the spelling of a token that is meant for that. */
final class Mark {
    private final String text;
    private final char[] kinds; // codes, of each character; that of WRITTEN where it may be any
    private final boolean token;

    /** With the kind of each token of the vocabulary; what is none, is written. */
    Mark(String text, Function<String, AnswerParser.Kind> kindOf) {
        this.text = text;
        kinds = new char[text.length()];
        boolean any = false;
        int at = 0;
        while (at < text.length()) {
            int end = text.length();
            while (end > at + 1 && kindOf.apply(text.substring(at, end)) == AnswerParser.Kind.WRITTEN) {
                end--;
            }
            AnswerParser.Kind kind = end > at + 1 ? kindOf.apply(text.substring(at, end)) : AnswerParser.Kind.WRITTEN;
            any |= kind != AnswerParser.Kind.WRITTEN;
            while (at < end) {
                kinds[at++] = kind.code();
            }
        }
        token = any;
    }

    String text() {
        return text;
    }

    /** Whether a part of it has to be a token. */
    boolean isToken() {
        return token;
    }

    /** Whether a character of a kind ({@link AnswerParser.Kind#code}) may be the one at a place. */
    boolean admits(int place, char kind) {
        return kinds[place] == AnswerParser.Kind.WRITTEN.code() || kinds[place] == kind;
    }
}
