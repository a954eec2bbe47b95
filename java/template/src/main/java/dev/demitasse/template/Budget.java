package dev.demitasse.template;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What one rendering may use: templates come with model files, so they are not trusted. */
final class Budget {
    static final int MAXIMUM_STEPS = 5_000_000;
    static final int MAXIMUM_LENGTH = 32 << 20;
    static final int MAXIMUM_RANGE = 100_000;
    static final int MAXIMUM_DEPTH = 150;

    /** The budget of the rendering that runs on a thread, for what is called without one. */
    private static final ThreadLocal<@Nullable Budget> CURRENT = new ThreadLocal<>();

    private int steps;
    private int depth;

    /** From now on {@link #tick} counts here. */
    void use() {
        CURRENT.set(this);
    }

    /** The rendering has ended. */
    static void done() {
        CURRENT.remove();
    }

    /** A step of the rendering that runs on this thread. */
    static void tick() {
        Budget budget = CURRENT.get();
        if (budget != null) {
            budget.step();
        }
    }

    /** What looking through a value costs the rendering that runs on this thread. */
    static void tick(@Nullable Object value) {
        Budget budget = CURRENT.get();
        if (budget != null) {
            budget.charge(value);
        }
    }

    void step() {
        if (++steps > MAXIMUM_STEPS) {
            throw new JinjaException("The chat template takes more than " + MAXIMUM_STEPS + " steps.");
        }
    }

    /** Counts what handling a value costs: a long text or list is more than one step. */
    void charge(@Nullable Object value) {
        int size = switch (value) {
            case String text -> text.length() / 64;
            case List<?> list -> list.size();
            case LazyList lazy -> lazy.size();
            case Map<?, ?> map -> map.size();
            case null, default -> 0;
        };
        steps = Math.addExact(steps, size);
        step();
    }

    void enter() {
        if (++depth > MAXIMUM_DEPTH) {
            throw new JinjaException("The chat template calls deeper than " + MAXIMUM_DEPTH + " levels.");
        }
    }

    void leave() {
        depth--;
    }

    static void length(long length) {
        if (length > MAXIMUM_LENGTH) {
            throw new JinjaException("The chat template makes a value longer than " + MAXIMUM_LENGTH + ".");
        }
    }
}
