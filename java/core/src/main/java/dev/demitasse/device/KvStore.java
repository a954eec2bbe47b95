package dev.demitasse.device;

import dev.demitasse.kv.KvShape;

/** The memory of a paged key-value cache on a device; only the device knows the layout within a page. */
public interface KvStore extends AutoCloseable {
    /** {@return its dimensions} */
    KvShape shape();

    @Override
    void close();
}
