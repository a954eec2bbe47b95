package dev.demitasse.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Lists that come again are found while they are recorded. */
class StepListTest {
    /** Keeps the first of equal lists, as a device does that has made something of it. */
    private final class Recorder implements StepList.Runner {
        final List<Step> prepared = new ArrayList<>();
        final List<List<Step>> run = new ArrayList<>();
        private final Map<List<Step>, List<Step>> kept = new HashMap<>();

        @Override
        public void prepare(Step step) {
            prepared.add(step);
        }

        @Override
        public List<Step> run(List<Step> steps, @Nullable StepData data, int dataBytes) {
            run.add(steps);
            return kept.computeIfAbsent(steps, first -> first);
        }

        @Override
        public StepData data() {
            return data;
        }

        @Override
        public void dropped() {}
    }

    /** Where the data goes; tests change it. */
    private record Data(MemorySegment memory, long address) implements StepData {}

    private Data data = new Data(MemorySegment.ofArray(new int[64]), 0x1000);

    private final Recorder recorder = new Recorder();
    private final StepList list = new StepList(recorder, 256);

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

    /** A pass whose table and cache nobody asks for. */
    private abstract static class UncheckedPass implements Pass {
        @Override
        public LinearWeight table() {
            throw new AssertionError("nobody asks");
        }

        @Override
        public KvStore kv() {
            throw new AssertionError("nobody asks");
        }
    }

    /** A pass of an embedding and an attention, which counts how often its operations are called. */
    private final class Layers extends UncheckedPass {
        int calls;

        @Override
        public void operations(TokenIds ids, BatchRows rows) {
            calls++;
            long from = ids instanceof TokenIds.Given given ? list.putIds(given.ids(), rows.count()) : 0x50;
            list.add(new Step.GatherRows(16, 4, from, rows.count(), 32));
            list.add(new Step.GatherRows(48, 4, list.positions(rows), rows.count(), 64));
            list.add(new Step.Add(16, 32, 5));
        }
    }

    private final Layers layers = new Layers();

    private static BatchRows at(int position) {
        return new BatchRows(1, new int[] {position}, new int[][] {{position / 64}});
    }

    private void step(TokenIds ids, int position) {
        list.run(layers, ids, at(position));
        list.add(new Step.Add(16, 32, 6));
        list.run();
    }

    private static TokenIds id(int id) {
        return new TokenIds.Given(new int[] {id});
    }

    /** The integers of the list's data, from one on. */
    private List<Integer> dataInts(int from, int count) {
        return IntStream.range(from, from + count)
                .mapToObj(i -> data.memory().getAtIndex(ValueLayout.JAVA_INT, i))
                .toList();
    }

    @Test
    void aPassThatComesAgainIsNotCalledAndGetsItsData() {
        for (int i = 0; i < 5; i++) {
            step(id(7 + i), 64 * i);
            assertThat(dataInts(0, 1)).containsExactly(7 + i);
            assertThat(dataInts(4, 1)).as("position").containsExactly(64 * i);
            assertThat(dataInts(12, 1)).as("page").containsExactly(i);
        }
        assertThat(layers.calls).isEqualTo(2);
        assertThat(recorder.run).hasSize(5);
        recorder.run.forEach(steps -> assertThat(steps).isEqualTo(recorder.run.getFirst()));
    }

    @Test
    void aPassIsCalledWhereItsDataComeElsewhere() {
        for (int i = 0; i < 3; i++) {
            step(id(1), i);
        }
        data = new Data(MemorySegment.ofArray(new int[64]), 0x2000);
        step(id(2), 3);
        assertThat(layers.calls).isEqualTo(3);
        assertThat(recorder.run.getLast().getFirst()).isEqualTo(new Step.GatherRows(16, 4, 0x2000, 1, 32));
        list.put(new int[] {1}, 1);
        step(id(3), 4);
        assertThat(layers.calls).isEqualTo(4);
    }

    @Test
    void aPassIsCalledWhereItsIdsComeFromElsewhere() {
        for (int i = 0; i < 3; i++) {
            step(id(1), i);
        }
        int calls = layers.calls;
        TokenBuffer tokens = new TokenBuffer() {
            @Override
            public int capacity() {
                return 1;
            }

            @Override
            public void read(int[] out, int count) {
                throw new AssertionError("nobody asks");
            }

            @Override
            public void close() {}
        };
        step(new TokenIds.Chosen(tokens), 5);
        assertThat(layers.calls).isEqualTo(calls + 1);
        step(new TokenIds.Chosen(tokens), 6);
        step(new TokenIds.Chosen(tokens), 7);
        assertThat(layers.calls).isEqualTo(calls + 2);
    }

    /** Numbers that a pass has put beside its ids and rows are there again the next time. */
    @Test
    void aPassWithNumbersOfItsOwnGetsThemAgain() {
        Pass own = new UncheckedPass() {
            @Override
            public void operations(TokenIds ids, BatchRows rows) {
                layers.calls++;
                int[] numbers = {30 + rows.count()};
                list.add(new Step.GatherRows(16, 4, list.put(numbers, 1), 1, 32));
                numbers[0] = 0;
            }
        };
        for (int i = 0; i < 4; i++) {
            data.memory().setAtIndex(ValueLayout.JAVA_INT, 0, -1);
            list.run(own, id(1), at(i));
            list.run();
            assertThat(dataInts(0, 1)).containsExactly(31);
        }
        assertThat(layers.calls).isEqualTo(2);
    }

    /** A copy of the host's memory may be another one the next time. */
    @Test
    void aPassThatCopiesIsCalledEveryTime() {
        Pass own = new UncheckedPass() {
            @Override
            public void operations(TokenIds ids, BatchRows rows) {
                layers.calls++;
                list.copy(MemorySegment.ofArray(new int[] {layers.calls}), 0x9000);
            }
        };
        for (int i = 0; i < 4; i++) {
            list.run(own, id(1), at(i));
            list.run();
        }
        assertThat(layers.calls).isEqualTo(4);
    }

    @Test
    void aPassOfMoreRowsIsCalled() {
        Pass ids = new IdsAlone();
        for (int i = 0; i < 3; i++) {
            list.run(ids, new TokenIds.Given(new int[4]), rows(4));
            list.run();
        }
        int calls = layers.calls;
        list.run(ids, new TokenIds.Given(new int[8]), rows(8));
        list.run();
        assertThat(layers.calls).isEqualTo(calls + 1);
        assertThat(recorder.run.getLast()).isEqualTo(List.of(new Step.GatherRows(16, 4, 0x1000, 8, 32)));
    }

    private static BatchRows rows(int count) {
        return new BatchRows(count, new int[count], new int[count][1]);
    }

    /** What a pass reads in its middle is not read by a replay. */
    @Test
    void aPassThatRunsTheListIsCalledEveryTime() {
        Pass reads = new IdsAlone() {
            @Override
            public void operations(TokenIds ids, BatchRows rows) {
                list.run();
                super.operations(ids, rows);
            }
        };
        for (int i = 0; i < 4; i++) {
            list.run(reads, new TokenIds.Given(new int[4]), rows(4));
            list.run();
        }
        assertThat(layers.calls).isEqualTo(4);
    }

    /** Of a pass that is refused half-way nothing runs. */
    @Test
    void aPassThatIsRefusedLeavesTheListAsItWas() {
        Pass refused = new IdsAlone() {
            @Override
            public void operations(TokenIds ids, BatchRows rows) {
                super.operations(ids, rows);
                throw new UsageException("planned");
            }
        };
        for (int i = 0; i < 3; i++) {
            list.add(new Step.Add(16, 32, 1));
            assertThatThrownBy(() -> list.run(refused, new TokenIds.Given(new int[4]), rows(4)))
                    .isInstanceOf(UsageException.class);
            list.add(new Step.GatherRows(16, 4, list.put(new int[] {9}, 1), 1, 32));
            list.run();
            assertThat(recorder.run.getLast())
                    .isEqualTo(List.of(new Step.Add(16, 32, 1), new Step.GatherRows(16, 4, 0x1000, 1, 32)));
            assertThat(dataInts(0, 1)).containsExactly(9);
        }
    }

    /** A pass without rows of a cache. */
    private class IdsAlone extends UncheckedPass {
        @Override
        public void operations(TokenIds ids, BatchRows rows) {
            layers.calls++;
            int[] given = ((TokenIds.Given) ids).ids();
            list.add(new Step.GatherRows(16, 4, list.putIds(given, rows.count()), rows.count(), 32));
        }
    }

    /** A failure in the middle leaves nothing that could be taken for the whole. */
    @Test
    void aPassThatFailedIsCalledAgain() {
        Pass failing = new UncheckedPass() {
            @Override
            public void operations(TokenIds ids, BatchRows rows) {
                list.add(new Step.Add(16, 32, 1));
                if (layers.calls++ == 1) {
                    throw new IllegalStateException("planned");
                }
                list.add(new Step.Add(16, 32, 2));
            }
        };
        list.run(failing, id(1), at(0));
        list.run();
        assertThatThrownBy(() -> list.run(failing, id(1), at(1))).isInstanceOf(IllegalStateException.class);
        list.discard();
        list.run(failing, id(1), at(2));
        list.run();
        list.run(failing, id(1), at(3));
        list.run();
        recorder.run.forEach(steps -> assertThat(steps).isEqualTo(adds(1, 2)));
    }
}
