package dev.demitasse;

import dev.demitasse.gguf.Gguf;
import java.util.function.LongConsumer;

/** Tells a listener how far a load is: of the bytes of a file's tensors. */
final class LoadProgress implements LongConsumer {
    private final LoadListener listener;
    private final long total;

    LoadProgress(Gguf file, LoadListener listener) {
        this.listener = listener;
        this.total = file.tensors().stream()
                .mapToLong(tensor -> tensor.data().byteSize())
                .sum();
    }

    @Override
    public void accept(long begun) {
        listener.loaded(Math.min(begun, total), total);
    }

    /** Tells that all is loaded; where the listener fails, {@code close} is run. */
    void finish(Runnable close) {
        try {
            listener.loaded(total, total);
        } catch (RuntimeException | Error e) {
            close.run();
            throw e;
        }
    }
}
