package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.KeptState;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Where states are saved, and when a sequence goes on from there. */
class SavedStateTest {
    private static int[] tokens(int from, int count) {
        return IntStream.range(from, from + count).toArray();
    }

    /** Tokens 0 to {@code kept}, then others. */
    private static int[] turn(int kept, int more) {
        return IntStream.concat(IntStream.range(0, kept), IntStream.range(1000, 1000 + more))
                .toArray();
    }

    /** A sequence whose prompt of 120 tokens was computed, and its state saved on the way. */
    private static Sequence computed() {
        Sequence sequence = new Sequence();
        sequence.replace(tokens(0, 120), true);
        assertThat(sequence.stale()).isNull();
        assertThat(sequence.rowsToBorder(512)).isEqualTo(96);
        sequence.cached(96);
        assertThat(sequence.keptNow()).isEqualTo(KeptState.PROMPT);
        sequence.stateKept(KeptState.PROMPT);
        assertThat(sequence.rowsToBorder(24)).isEqualTo(24);
        sequence.cached(120);
        assertThat(sequence.keptNow()).isNull();
        return sequence;
    }

    @Test
    void aPromptThatGoesOnKeepsTheState() {
        Sequence sequence = computed();
        sequence.replace(turn(120, 30), true);
        assertThat(sequence.stale()).isNull();
        assertThat(sequence.cached()).isEqualTo(120);
    }

    @Test
    void aPromptThatDiffersBehindWhatWasSavedGoesOnFromThere() {
        Sequence sequence = computed();
        sequence.replace(turn(115, 30), true);
        assertThat(sequence.stale()).isEqualTo(KeptState.PROMPT);
        assertThat(sequence.cached()).isEqualTo(96);
        assertThat(sequence.rowsToBorder(512)).isEqualTo(32); // 145 tokens: the next border is at 128
        sequence.replace(turn(96, 1), true);
        assertThat(sequence.stale()).as("it was not restored yet").isEqualTo(KeptState.PROMPT);
        assertThat(sequence.cached()).isEqualTo(96);
    }

    /** The state before the last drafts is another place to go on from. */
    @Test
    void aPromptThatDiffersBehindDraftsGoesOnFromBeforeThem() {
        Sequence sequence = computed();
        sequence.append(500);
        sequence.stateKept(KeptState.DRAFTS); // at 120, and a pass of three more of which two were right
        sequence.append(501);
        sequence.append(502);
        sequence.cached(123);
        sequence.append(503);
        sequence.takeBack(120);
        assertThat(sequence.stale()).isEqualTo(KeptState.DRAFTS);
        assertThat(sequence.again()).isEqualTo(3);
        assertThat(sequence.isDecoding()).isTrue();
        sequence.stateRestored();
        sequence.cached(124);
        sequence.replace(turn(120, 30), true);
        assertThat(sequence.stale()).isEqualTo(KeptState.DRAFTS);
        assertThat(sequence.cached()).isEqualTo(120);
        sequence.replace(turn(119, 30), true);
        assertThat(sequence.stale()).isEqualTo(KeptState.PROMPT);
        assertThat(sequence.cached()).isEqualTo(96);
        sequence.cached(0);
        assertThat(sequence.stale()).isNull();
    }

    @Test
    void aPromptThatDiffersBeforeBeginsAnew() {
        Sequence sequence = computed();
        sequence.replace(turn(95, 30), true);
        assertThat(sequence.stale()).isNull();
        assertThat(sequence.cached()).isZero();
        sequence = computed();
        sequence.cached(0); // its pages were given up, and the state with them
        sequence.replace(tokens(0, 120), true);
        assertThat(sequence.stale()).isNull();
        assertThat(sequence.cached()).isZero();
    }

    /** Where two prompts have parted, a third will: the second one keeps its state there, and the third has it. */
    @Test
    void theStateIsKeptWhereAnotherPromptParted() {
        Sequence second = new Sequence();
        second.replace(turn(70, 100), true, 70);
        assertThat(second.rowsToBorder(512)).isEqualTo(64);
        second.cached(64);
        assertThat(second.keptNow()).isEqualTo(KeptState.BRANCH);
        second.stateKept(KeptState.BRANCH);
        assertThat(second.rowsToBorder(512))
                .as("the prompt's own border is at 128")
                .isEqualTo(64);
        second.cached(128);
        assertThat(second.keptNow()).isEqualTo(KeptState.PROMPT);
        second.stateKept(KeptState.PROMPT);
        second.cached(170);
        int[] third = tokens(0, 100);
        assertThat(second.sharable(third, true)).isEqualTo(64);
        Sequence other = new Sequence();
        other.become(second);
        assertThat(other.keptForOthers()).containsExactly(KeptState.PROMPT, KeptState.BRANCH);
        other.replace(third, true, 70);
        assertThat(other.cached()).isEqualTo(64);
        assertThat(other.stale()).isEqualTo(KeptState.BRANCH);
        assertThat(other.rowsToBorder(512)).as("it is kept already").isEqualTo(512);
    }

    @Test
    void sequencesWithoutStatesAreCutBackAnywhere() {
        Sequence sequence = new Sequence();
        sequence.replace(tokens(0, 120), false);
        assertThat(sequence.rowsToBorder(512)).isEqualTo(512);
        sequence.cached(120);
        assertThat(sequence.keptNow()).isNull();
        sequence.replace(turn(95, 30), false);
        assertThat(sequence.stale()).isNull();
        assertThat(sequence.cached()).isEqualTo(95);
    }

    /** A sequence that has no state gets that of the one that has been idle longest, while others run. */
    @Test
    void whoComesDoesNotWaitForWhoIsIdle() {
        try (Device device = Devices.open("reference", DeviceOptions.defaults());
                KvCache cache = new KvCache(device, List.of(new KvShape(1, 1, 2, 12, KvType.F32)), 2)) {
            Scheduler scheduler = new Scheduler(cache, 64, 64, Integer.MAX_VALUE, new Drafts(), true);
            Sequence[] three = {new Sequence(), new Sequence(), new Sequence()};
            for (Sequence sequence : three) {
                sequence.replace(tokens(0, 10), true);
                sequence.begin(new Sequence.Request(new Sampler(SamplingOptions.GREEDY), 5, 0, 0, true));
            }
            scheduler.add(three[0]);
            scheduler.add(three[1]);
            scheduler.next().parts().forEach(Batch.Part::commit);
            scheduler.remove(three[1]);
            three[0].append(7);
            scheduler.add(three[2]);
            assertThat(scheduler.next().parts())
                    .extracting(Batch.Part::sequence)
                    .containsExactly(three[0], three[2]);
            assertThat(three[1].cached()).isZero();
            scheduler.add(three[1]);
            assertThat(scheduler.next().parts())
                    .extracting(Batch.Part::sequence)
                    .doesNotContain(three[1]);
        }
    }

    /** Who is held keeps what it has; others wait, and are not refused. */
    @Test
    void othersWaitForWhoIsHeld() {
        try (Device device = Devices.open("reference", DeviceOptions.defaults());
                KvCache cache = new KvCache(device, List.of(new KvShape(1, 1, 2, 8, KvType.F32)), 2)) {
            Scheduler scheduler = new Scheduler(cache, 64, 64, Integer.MAX_VALUE, new Drafts(), true);
            Sequence scored = new Sequence();
            scheduler.hold(scored);
            assertThat(cache.reserve(scored.pages, 10)).isTrue();
            Sequence other = new Sequence();
            scheduler.hold(other);
            assertThat(cache.reserve(other.pages, 10)).isTrue();
            List<Sequence> waiting = List.of(new Sequence(), new Sequence());
            for (Sequence sequence : waiting) {
                sequence.replace(tokens(0, 10), true);
                sequence.begin(new Sequence.Request(new Sampler(SamplingOptions.GREEDY), 5, 0, 0, true));
                scheduler.add(sequence);
            }
            assertThat(scheduler.next().rows().count()).isZero();
            assertThat(waiting).extracting(Sequence::failure).containsOnlyNulls();
            scheduler.letGo(scored);
            scheduler.letGo(other);
            assertThat(scheduler.next().parts())
                    .extracting(Batch.Part::sequence)
                    .containsExactlyElementsOf(waiting);
        }
    }

    /** First pages number sequences: they are below the number of states, and no two have the same. */
    @Test
    void firstPagesNumberTheSequences() {
        try (Device device = Devices.open("reference", DeviceOptions.defaults());
                KvCache cache = new KvCache(device, List.of(new KvShape(1, 1, 2, 6, KvType.F32)), 2)) {
            PageTable[] tables = {new PageTable(), new PageTable(), new PageTable()};
            assertThat(cache.reserve(tables[0], 3 * KvShape.PAGE)).isTrue();
            assertThat(cache.reserve(tables[1], KvShape.PAGE)).isTrue();
            assertThat(new int[] {tables[0].pages()[0], tables[1].pages()[0]}).containsExactlyInAnyOrder(0, 1);
            assertThat(cache.freePages()).isEqualTo(2);
            assertThat(cache.reserve(tables[2], 1)).as("no third state").isFalse();
            assertThat(cache.reserve(tables[1], 4 * KvShape.PAGE))
                    .as("too long")
                    .isFalse();
            assertThat(cache.reserve(tables[1], 3 * KvShape.PAGE)).isTrue();
            cache.release(tables[0], KvShape.PAGE);
            assertThat(cache.reserve(tables[2], 1)).as("still none").isFalse();
            int first = tables[0].pages()[0];
            cache.release(tables[0], 0);
            assertThat(cache.reserve(tables[2], 2 * KvShape.PAGE)).isTrue();
            assertThat(tables[2].pages()[0]).isEqualTo(first);
        }
    }
}
