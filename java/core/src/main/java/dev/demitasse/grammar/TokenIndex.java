package dev.demitasse.grammar;

import dev.demitasse.tokenizer.Tokenizer;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.List;

/**
 * The tokens of a vocabulary in trees: those of plain characters alone by how many they are, and all others. Where so
 * many plain characters may follow, the tokens of that many are known to be allowed; where a limit is far, the others
 * are known from one state with a twin. Immutable.
 */
public final class TokenIndex {
    /** Tokens of at most so many plain characters are in one tree, but for those of the tree before. */
    private static final int[] MOST = {4, 8, 16, 32};

    private final Tokenizer tokenizer;
    private final int vocabulary;
    private final TokenTrie others;
    private final TokenTrie longest; // of more bytes than the characters for which twins are alike
    private final List<TokenTrie> plain = new ArrayList<>(); // by MOST
    private final List<long[]> plainTokens = new ArrayList<>(); // the same, each with those before it
    private final int[] ends;

    /** Of a model's vocabulary. Tokens that control the model are no text: of them only those that end it are known. */
    public TokenIndex(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        Vocabulary tokens = tokenizer.vocabulary();
        vocabulary = tokens.size();
        List<List<TokenTrie.Entry>> groups = new ArrayList<>();
        for (int i = 0; i <= MOST.length + 1; i++) {
            groups.add(new ArrayList<>());
        }
        List<Integer> ending = new ArrayList<>();
        for (int token = 0; token < vocabulary; token++) {
            if (tokens.isEnd(token)) {
                ending.add(token);
            } else if (!tokens.isControl(token)) {
                byte[] bytes = tokenizer.bytes(token, false);
                if (bytes.length > 0) {
                    groups.get(group(bytes)).add(new TokenTrie.Entry(token, bytes));
                }
            }
        }
        ends = ending.stream().mapToInt(Integer::intValue).toArray();
        others = new TokenTrie(groups.get(MOST.length), vocabulary);
        longest = new TokenTrie(groups.get(MOST.length + 1), vocabulary);
        for (List<TokenTrie.Entry> group : groups.subList(0, MOST.length)) {
            plain.add(new TokenTrie(group, vocabulary));
            long[] tokensOf = plainTokens.isEmpty()
                    ? new long[words()]
                    : plainTokens.getLast().clone();
            group.forEach(entry -> tokensOf[entry.token() >> 6] |= 1L << entry.token());
            plainTokens.add(tokensOf);
        }
    }

    private static int group(byte[] bytes) {
        int count = PlainCharacters.count(bytes);
        for (int i = 0; i < MOST.length; i++) {
            if (count >= 0 && count <= MOST[i]) {
                return i;
            }
        }
        return bytes.length <= Program.ALIKE ? MOST.length : MOST.length + 1;
    }

    private int words() {
        return (vocabulary + 63) / 64;
    }

    /** Tokens of the vocabulary. */
    int vocabulary() {
        return vocabulary;
    }

    /** The bytes of a token; empty of one that is no text. */
    byte[] bytes(int token) {
        return tokenizer.bytes(token, false);
    }

    /** Whether a token ends an answer. */
    boolean isEnd(int token) {
        return tokenizer.vocabulary().isEnd(token);
    }

    /**
     * The tokens that may follow a state, as bits.
     *
     * @param twin of it ({@link ByteParser#twin}), which keeps what states with this twin have in common
     */
    long[] allowed(ParserState state, ParserState twin, ByteParser parser) {
        if (twin != state && twin.alike == null) {
            twin.alike = allowedButLongest(twin, parser);
        }
        long[] alike = twin.alike;
        long[] allowed = alike == null ? allowedButLongest(state, parser) : alike.clone();
        longest.walk(state, parser, allowed);
        return allowed;
    }

    private long[] allowedButLongest(ParserState state, ByteParser parser) {
        int known = MOST.length;
        while (known > 0 && !PlainCharacters.mayFollow(state, MOST[known - 1], parser)) {
            known--;
        }
        long[] allowed =
                known == 0 ? new long[words()] : plainTokens.get(known - 1).clone();
        others.walk(state, parser, allowed);
        for (TokenTrie trie : plain.subList(known, MOST.length)) {
            trie.walk(state, parser, allowed);
        }
        if (state.accepting) {
            for (int token : ends) {
                allowed[token >> 6] |= 1L << token;
            }
        }
        return allowed;
    }
}
