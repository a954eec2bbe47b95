package dev.demitasse.device;

/** The tokens of a device that works in the host's memory and defers nothing. */
final class HostTokens implements TokenBuffer {
    private final int[] tokens;

    HostTokens(int capacity) {
        tokens = new int[capacity];
    }

    void set(int index, int token) {
        tokens[index] = token;
    }

    @Override
    public int capacity() {
        return tokens.length;
    }

    @Override
    public void read(int[] out, int count) {
        System.arraycopy(tokens, 0, out, 0, count);
    }

    @Override
    public void close() {}
}
