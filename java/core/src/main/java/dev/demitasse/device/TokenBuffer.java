package dev.demitasse.device;

/**
 * Token ids in a device's memory: {@link Device#sample} writes them, and {@link Device#embed} reads them, so that a
 * forward pass can be recorded before the host knows its tokens.
 */
public interface TokenBuffer extends AutoCloseable {
    /** {@return room, in tokens} */
    int capacity();

    /**
     * Starts what was recorded, and waits until the first {@code count} tokens are there; not for what was recorded
     * after them.
     *
     * @param out receives them; {@link dev.demitasse.sampling.Draw#NONE} where no logit of a row was a number
     * @param count tokens, at most {@link #capacity}
     */
    void read(int[] out, int count);

    @Override
    void close();
}
