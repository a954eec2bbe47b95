package dev.demitasse.quantize.advise;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;

/** Things of a device that are closed together, the last one first. */
final class Resources implements AutoCloseable {
    private final Deque<Runnable> closing = new ArrayDeque<>();

    /** Takes a thing over. */
    <T> T own(T thing, Consumer<? super T> close) {
        closing.push(() -> close.accept(thing));
        return thing;
    }

    @Override
    public void close() {
        RuntimeException failure = null;
        while (!closing.isEmpty()) {
            try {
                closing.pop().run();
            } catch (RuntimeException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
