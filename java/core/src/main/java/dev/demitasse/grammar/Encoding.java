package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.List;

/** How characters are written as bytes. */
enum Encoding {
    /** As UTF-8. */
    PLAIN {
        @Override
        int read(CharSet set, int next, ProgramBuilder out) {
            return out.read(edges(Utf8.sequences(set), next, out));
        }
    },
    /** As in a string of JSON: some are escaped (RFC 8259, section 7). */
    JSON {
        @Override
        int read(CharSet set, int next, ProgramBuilder out) {
            List<Integer> edges = edges(Utf8.sequences(set.without(ESCAPED)), next, out);
            List<Integer> escapes = new ArrayList<>();
            for (int i = 0; i < ESCAPES.length(); i += 2) {
                if (set.contains(ESCAPES.charAt(i + 1))) {
                    add(escapes, ESCAPES.charAt(i), ESCAPES.charAt(i), next);
                }
            }
            if (set.equals(CharSet.ALL)) {
                add(escapes, 'u', 'u', anyUnit(next, out));
            } else if (!set.and(CONTROLS).isEmpty()) {
                add(escapes, 'u', 'u', control(set, next, out));
            }
            if (!escapes.isEmpty()) {
                add(edges, '\\', '\\', out.read(escapes));
            }
            return out.read(edges);
        }
    };

    /** Any character, the same object each time: of what repeats often there is one rule. */
    static final Expression ANY_CHARACTER = new Expression.Chars(CharSet.ALL);

    private static final CharSet CONTROLS = CharSet.range(0, 0x1F);
    private static final CharSet ESCAPED = CONTROLS.or(CharSet.of("\"\\"));
    /** What follows a reverse solidus, and the character that it stands for. */
    private static final String ESCAPES = "\"\"\\\\//b\bf\fn\nr\rt\t";

    private static final String HEX = "09afAF"; // ranges

    /** A node that reads one character of a set, and goes on at {@code next}. */
    abstract int read(CharSet set, int next, ProgramBuilder out);

    private static void add(List<Integer> edges, int from, int to, int target) {
        edges.add(from);
        edges.add(to);
        edges.add(target);
    }

    /** Edges that read one of some sequences of bytes; those with the same first range share what follows. */
    private static List<Integer> edges(List<List<Utf8.ByteRange>> sequences, int next, ProgramBuilder out) {
        List<Integer> edges = new ArrayList<>();
        int i = 0;
        while (i < sequences.size()) {
            Utf8.ByteRange first = sequences.get(i).getFirst();
            List<List<Utf8.ByteRange>> rest = new ArrayList<>();
            boolean ends = false;
            for (; i < sequences.size() && sequences.get(i).getFirst().equals(first); i++) {
                List<Utf8.ByteRange> sequence = sequences.get(i);
                ends = sequence.size() == 1;
                rest.add(sequence.subList(1, sequence.size()));
            }
            add(edges, first.from(), first.to(), ends ? next : out.read(edges(rest, next, out)));
        }
        return edges;
    }

    /** Four digits, those of a surrogate only as a pair: what follows \\u. */
    private static int anyUnit(int next, ProgramBuilder out) {
        int low = out.read(ranges("cfCF", hexadecimal(hexadecimal(next, out), out)));
        int pair = out.read(ranges("\\\\", out.read(ranges("uu", out.read(ranges("ddDD", low))))));
        int two = hexadecimal(hexadecimal(next, out), out);
        List<Integer> afterD = ranges("07", two);
        afterD.addAll(ranges("89abAB", hexadecimal(hexadecimal(pair, out), out)));
        List<Integer> unit = ranges("09acefACEF", hexadecimal(two, out));
        unit.addAll(ranges("ddDD", out.read(afterD)));
        return out.read(unit);
    }

    private static int control(CharSet set, int next, ProgramBuilder out) {
        List<Integer> tens = new ArrayList<>();
        for (int ten = 0; ten < 2; ten++) {
            List<Integer> ones = new ArrayList<>();
            for (int one = 0; one < 16; one++) {
                if (set.contains(16 * ten + one)) {
                    String digit = Integer.toHexString(one);
                    ones.addAll(ranges(digit + digit, next));
                    if (one > 9) {
                        ones.addAll(ranges((digit + digit).toUpperCase(java.util.Locale.ROOT), next));
                    }
                }
            }
            if (!ones.isEmpty()) {
                add(tens, '0' + ten, '0' + ten, out.read(ones));
            }
        }
        return out.read(ranges("00", out.read(ranges("00", out.read(tens)))));
    }

    private static int hexadecimal(int next, ProgramBuilder out) {
        return out.read(ranges(HEX, next));
    }

    private static List<Integer> ranges(String pairs, int target) {
        List<Integer> edges = new ArrayList<>();
        for (int i = 0; i < pairs.length(); i += 2) {
            add(edges, pairs.charAt(i), pairs.charAt(i + 1), target);
        }
        return edges;
    }
}
