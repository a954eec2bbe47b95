package dev.demitasse.grammar;

import java.util.Arrays;
import java.util.List;

/**
 * The tokens of a vocabulary by their bytes: a tree, its nodes in the order in which one walks it from its left to its
 * right, so that a walk reads memory in order.
 */
final class TokenTrie {
    /** A token and its bytes. */
    record Entry(int token, byte[] bytes) {}

    private static final int NONE = -1;

    private int size;
    private byte[] label = new byte[64];
    private int[] depth = new int[64];
    private int[] end = new int[64]; // of each node, the first behind those below it
    private int[] first = new int[64]; // of each node, the token that ends there
    private final int[] same; // of each token, the next with the same bytes
    private int deepest;

    /** Of the tokens of a vocabulary of that size some. */
    TokenTrie(List<Entry> entries, int vocabulary) {
        same = new int[vocabulary];
        List<Entry> sorted = entries.stream()
                .sorted((a, b) -> Arrays.compareUnsigned(a.bytes, b.bytes))
                .toList();
        byte[] path = new byte[0];
        int[] open = new int[64]; // nodes of the path
        for (Entry entry : sorted) {
            byte[] bytes = entry.bytes;
            int common = Arrays.mismatch(path, bytes);
            common = common < 0 ? bytes.length : common;
            for (int i = common; i < path.length; i++) {
                end[open[i]] = size;
            }
            if (bytes.length > open.length) {
                open = Arrays.copyOf(open, 2 * bytes.length);
            }
            for (int i = common; i < bytes.length; i++) {
                open[i] = add(bytes[i], i);
            }
            int last = open[bytes.length - 1];
            same[entry.token] = first[last];
            first[last] = entry.token;
            deepest = Math.max(deepest, bytes.length);
            path = bytes;
        }
        for (int i = 0; i < path.length; i++) {
            end[open[i]] = size;
        }
    }

    private int add(byte of, int at) {
        if (size == label.length) {
            label = Arrays.copyOf(label, 2 * size);
            depth = Arrays.copyOf(depth, 2 * size);
            end = Arrays.copyOf(end, 2 * size);
            first = Arrays.copyOf(first, 2 * size);
        }
        label[size] = of;
        depth[size] = at;
        first[size] = NONE;
        return size++;
    }

    /** Sets the bits of the tokens that may follow a state. */
    void walk(ParserState state, ByteParser parser, long[] allowed) {
        ParserState[] path = new ParserState[deepest + 1];
        path[0] = state;
        for (int i = 0; i < size; ) {
            int at = depth[i];
            ParserState next = parser.next(path[at], label[i]);
            if (next == ParserState.DEAD) {
                i = end[i];
                continue;
            }
            path[at + 1] = next;
            for (int token = first[i]; token != NONE; token = same[token]) {
                allowed[token >> 6] |= 1L << token;
            }
            i++;
        }
    }
}
