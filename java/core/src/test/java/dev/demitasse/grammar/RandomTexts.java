package dev.demitasse.grammar;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** Texts of a grammar by chance: a walk over the bytes that it allows, which seeks an end after a while. */
final class RandomTexts {
    private static final String ENDS = "\"]}019";
    private static final int SOON = 60;
    private static final int MOST = 2000;

    private final ByteParser parser;
    private final Random random;

    RandomTexts(Language grammar, Random random) {
        parser = new ByteParser(grammar.program());
        this.random = random;
    }

    /** A text; null where the walk found no end. */
    @Nullable
    String next() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ParserState state = parser.start();
        while (out.size() < MOST) {
            if (state.accepting && (state.isComplete() || out.size() > SOON || random.nextInt(3) == 0)) {
                return out.toString(StandardCharsets.UTF_8);
            }
            int of = choose(state, out.size());
            state = parser.next(state, (byte) of);
            out.write(of);
        }
        return null;
    }

    private int choose(ParserState state, int length) {
        for (int i = 0; i < ENDS.length() && length > SOON; i++) {
            if (parser.next(state, (byte) ENDS.charAt(i)) != ParserState.DEAD) {
                return ENDS.charAt(i);
            }
        }
        List<Integer> possible = new ArrayList<>();
        for (int of = 0; of < 256; of++) {
            if (parser.next(state, (byte) of) != ParserState.DEAD) {
                possible.add(of);
            }
        }
        if (possible.isEmpty()) {
            throw new AssertionError("a dead end");
        }
        return possible.get(random.nextInt(possible.size()));
    }
}
