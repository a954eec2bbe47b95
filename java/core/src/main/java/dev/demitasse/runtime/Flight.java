package dev.demitasse.runtime;

import dev.demitasse.device.TokenBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A batch that is under way. Until it lands its sequences may end, and begin other generations: those have no use for
 * it.
 */
final class Flight {
    final Batch batch;
    private final List<Sequence.Request> requests;

    /** What was chosen for each of the batch's {@code sampled}; null until then. */
    final Sequence.@Nullable Step[] steps;

    /** Where a device chooses; null where the host does. */
    @Nullable
    TokenBuffer choices;

    /** Why it cannot land, or null. */
    @Nullable
    Throwable failure;

    Flight(Batch batch) {
        this.batch = batch;
        this.steps = new Sequence.Step[batch.sampled().size()];
        this.requests =
                batch.parts().stream().map(part -> part.sequence().request()).toList();
    }

    /** Whether the generation of a part still goes on. */
    boolean isLive(int part) {
        Sequence sequence = batch.parts().get(part).sequence();
        return sequence.finish() == null && sequence.request() == requests.get(part);
    }

    /** How many generations still go on. */
    int live() {
        int live = 0;
        for (int part = 0; part < requests.size(); part++) {
            live += isLive(part) ? 1 : 0;
        }
        return live;
    }

    /** What was chosen behind a part's last row and each of its drafts; nothing where the part goes on. */
    List<Sequence.@Nullable Step> steps(int part) {
        int choice = batch.choices()[part];
        return choice < 0
                ? List.of()
                : Arrays.asList(steps)
                        .subList(choice, choice + 1 + batch.parts().get(part).drafts());
    }

    /** Waits for what a device chooses. */
    void awaitChoices() {
        if (choices != null && steps.length > 0) {
            int[] chosen = new int[steps.length];
            choices.read(chosen, chosen.length);
            for (int i = 0; i < chosen.length; i++) {
                steps[i] = new Sequence.Step(chosen[i], List.of());
            }
        }
    }

    /** Whether nobody's generation has ended. */
    boolean isForAll() {
        return live() == requests.size();
    }
}
