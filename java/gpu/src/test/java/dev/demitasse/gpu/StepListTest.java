package dev.demitasse.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Lists that come again are found while they are recorded. */
class StepListTest {
    /** Keeps the first of equal lists, as a device does that has made something of it. */
    private static final class Recorder implements StepList.Runner {
        final List<Step> prepared = new ArrayList<>();
        final List<List<Step>> run = new ArrayList<>();
        private final Map<List<Step>, List<Step>> kept = new HashMap<>();

        @Override
        public void prepare(Step step) {
            prepared.add(step);
        }

        @Override
        public List<Step> run(List<Step> steps, int dataBytes) {
            run.add(steps);
            return kept.computeIfAbsent(steps, first -> first);
        }

        @Override
        public void awaitData() {}
    }

    private final Recorder recorder = new Recorder();
    private final StepList list = new StepList(recorder, MemorySegment.ofArray(new int[64]), 0x1000);

    private void run(int... counts) {
        for (int count : counts) {
            list.add(new Step.Add(16, 32, count));
        }
        list.run();
    }

    private static List<Step> adds(int... counts) {
        List<Step> steps = new ArrayList<>();
        for (int count : counts) {
            steps.add(new Step.Add(16, 32, count));
        }
        return steps;
    }

    @Test
    void aListThatComesAgainIsNeitherPreparedNorRecordedAgain() {
        run(1, 2, 3);
        run(1, 2, 3); // only now it is known what comes after it
        recorder.prepared.clear();
        run(1, 2, 3);
        assertThat(recorder.prepared).isEmpty();
        assertThat(recorder.run.get(2)).isSameAs(recorder.run.get(0));
    }

    @Test
    void twoListsThatTakeTurnsAreExpectedInTurn() {
        for (int i = 0; i < 3; i++) {
            run(1, 2);
            run(3);
        }
        assertThat(recorder.run.get(4)).isSameAs(recorder.run.get(0));
        assertThat(recorder.run.get(5)).isSameAs(recorder.run.get(1));
    }

    @Test
    void aListThatIsLikeTheExpectedOneAtFirstIsRecordedWhole() {
        run(1, 2, 3);
        run(1, 2, 3);
        recorder.prepared.clear();
        run(1, 2, 4, 5);
        assertThat(recorder.run.get(2)).isEqualTo(adds(1, 2, 4, 5));
        assertThat(recorder.prepared).isEqualTo(adds(4, 5));
        run(1, 2, 3);
        run(1, 2);
        run(1, 2, 3, 6);
        assertThat(recorder.run.subList(3, 6)).containsExactly(adds(1, 2, 3), adds(1, 2), adds(1, 2, 3, 6));
    }

    @Test
    void whatWaitsIsTheRecordedPartOfAnExpectedList() {
        run(1, 2, 3);
        run(1, 2, 3);
        list.add(new Step.Add(16, 32, 1));
        list.add(new Step.Add(16, 32, 2));
        assertThat(list.waiting()).isEqualTo(adds(1, 2));
        list.run();
        assertThat(recorder.run.getLast()).isEqualTo(adds(1, 2));
    }

    @Test
    void aDiscardedListDoesNotRunWithTheNext() {
        run(1, 2, 3);
        run(1, 2, 3);
        list.add(new Step.Add(16, 32, 1));
        list.discard();
        run(7);
        list.run(); // nothing waits
        assertThat(recorder.run.getLast()).isEqualTo(adds(7));
        assertThat(recorder.run).hasSize(3);
    }
}
