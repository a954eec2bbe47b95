package dev.demitasse.grammar;

import java.util.HashSet;
import java.util.Set;

/**
 * Characters that a string of JSON has as they are: all but controls, the quotation mark and the reverse solidus. Most
 * tokens have no others, so that where some number of any of them may follow, most tokens need not be looked at one by
 * one (the "slices" of llguidance, Microsoft, 2025).
 */
final class PlainCharacters {
    /** Bytes at which something of them begins, or ends before: of UTF-8 (RFC 3629), and of what is left out. */
    static final int[] BORDERS = {
        0x20, '"', '"' + 1, '\\', '\\' + 1, 0x80, 0x90, 0xA0, 0xC0, 0xC2, 0xE0, 0xE1, 0xED, 0xEE, 0xF0, 0xF1, 0xF4, 0xF5
    };

    private static final int CHARACTER = 0; // between characters
    private static final int BAD = -1;
    /** States within a character: how many bytes follow, and of what range the next one is. */
    private static final int[][] CONTINUED = {
        {},
        {1, 0x80, 0xBF},
        {2, 0x80, 0xBF},
        {3, 0x80, 0xBF},
        {2, 0xA0, 0xBF},
        {2, 0x80, 0x9F},
        {3, 0x90, 0xBF},
        {3, 0x80, 0x8F},
    };

    private static final int MOST_STATES = 256; // that are looked at for one

    private PlainCharacters() {}

    private static int step(int state, int of) {
        if (state != CHARACTER) {
            int[] continued = CONTINUED[state];
            return of >= continued[1] && of <= continued[2] ? continued[0] - 1 : BAD;
        }
        if (of < 0x80) {
            return of >= 0x20 && of != '"' && of != '\\' ? CHARACTER : BAD;
        }
        if (of < 0xC2 || of > 0xF4) {
            return BAD;
        }
        return switch (of) {
            case 0xE0 -> 4;
            case 0xED -> 5;
            case 0xF0 -> 6;
            case 0xF4 -> 7;
            default -> of < 0xE0 ? 1 : of < 0xF0 ? 2 : 3;
        };
    }

    /** How many characters some bytes are; -1 where others are among them, or parts of characters. */
    static int count(byte[] bytes) {
        int state = CHARACTER;
        int count = 0;
        for (byte of : bytes) {
            state = step(state, of & 0xFF);
            if (state == BAD) {
                return -1;
            }
            count += state == CHARACTER ? 1 : 0;
        }
        return state == CHARACTER ? count : -1;
    }

    /**
     * Whether so many of them may follow a state, any one after any other. What is found is kept in the states, so that
     * where one more character was read, little is left to be looked at. Where there are many states to look at, the
     * answer is no.
     */
    static boolean mayFollow(ParserState state, int count, ByteParser parser) {
        return mayFollow(state, count, parser, new int[] {MOST_STATES});
    }

    private static boolean mayFollow(ParserState state, int count, ByteParser parser, int[] left) {
        if (state.free >= count) {
            return true;
        }
        if (state.freeAtMost < count) {
            return false;
        }
        if (state.behindPlain == null) {
            Set<ParserState> behind = new HashSet<>();
            if (--left[0] < 0 || !follow(state, CHARACTER, parser, behind)) {
                state.freeAtMost = 0;
                return false;
            }
            state.behindPlain = behind.toArray(ParserState[]::new);
        }
        for (ParserState next : state.behindPlain) {
            if (!mayFollow(next, count - 1, parser, left)) {
                state.freeAtMost = count - 1;
                return false;
            }
        }
        state.free = count;
        return true;
    }

    /** Collects the states behind every character; false where one cannot follow. */
    private static boolean follow(ParserState from, int within, ByteParser parser, Set<ParserState> behind) {
        for (int c = 0; c < parser.classes(); c++) {
            int state = step(within, parser.byteOf(c));
            if (state == BAD) {
                continue;
            }
            ParserState next = parser.nextOfClass(from, c);
            if (next == ParserState.DEAD || state != CHARACTER && !follow(next, state, parser, behind)) {
                return false;
            }
            if (state == CHARACTER) {
                behind.add(next);
            }
        }
        return true;
    }
}
