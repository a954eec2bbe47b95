package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.exception.ContextFullException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who runs next; {@link SchedulerSimulationTest} does what nobody thought of. */
class SchedulerTest {
    private static final int PAGE = KvShape.PAGE;
    private static final int ROWS = 20;
    private static final int CHUNK = 8;

    private KvCache cache = KvCacheTest.cache(64);
    private Scheduler scheduler = new Scheduler(cache, ROWS, CHUNK, Integer.MAX_VALUE, new Drafts(), false);

    @AfterEach
    void close() {
        cache.close();
    }

    private void useCacheOf(int pages) {
        cache.close();
        cache = KvCacheTest.cache(pages);
        scheduler = new Scheduler(cache, 4 * PAGE, 4 * PAGE, Integer.MAX_VALUE, new Drafts(), false);
    }

    /** A sequence that runs, with a prompt of {@code tokens} tokens. */
    private Sequence running(int tokens) {
        Sequence sequence = new Sequence();
        sequence.replace(IntStream.range(0, tokens).map(i -> 1000 + i).toArray(), false);
        sequence.begin(new Sequence.Request(new Sampler(SamplingOptions.GREEDY), 1000, 0, 0, true));
        scheduler.add(sequence);
        return sequence;
    }

    /** What a forward pass does: its rows are cached, and sequences whose last token it saw get another. */
    private Batch step() {
        Batch batch = scheduler.next();
        batch.parts().forEach(Batch.Part::commit);
        batch.sampled().forEach(sequence -> sequence.append(7));
        return batch;
    }

    private void end(Sequence sequence) {
        sequence.close();
        scheduler.release(sequence);
    }

    private static Batch.Part part(Sequence sequence, int rows) {
        return new Batch.Part(sequence, rows, 0, 0);
    }

    @Test
    void nobodyHasNoRows() {
        assertThat(scheduler.next().rows().count()).isZero();
        scheduler.remove(running(5));
        assertThat(scheduler.next().rows().count()).isZero();
    }

    @Test
    void promptsGoInTheOrderInWhichTheyCameInChunks() {
        Sequence first = running(19);
        Sequence second = running(5);
        Sequence third = running(100);
        assertThat(step().parts()).containsExactly(part(first, 8), part(second, 5), part(third, 7));
        assertThat(step().parts()).containsExactly(part(second, 1), part(first, 8), part(third, 8));
        assertThat(step().parts()).containsExactly(part(second, 1), part(first, 3), part(third, 8));
        assertThat(step().parts()).containsExactly(part(first, 1), part(second, 1), part(third, 8));
    }

    @Test
    void everyDecodingSequenceHasItsRowBeforeAnyPrompt() {
        List<Sequence> decoding = new ArrayList<>();
        Sequence prompt = running(100);
        for (int i = 0; i < ROWS - 3; i++) {
            decoding.add(running(1));
        }
        for (int i = 0; i < 5; i++) {
            List<Batch.Part> parts = step().parts();
            assertThat(parts.subList(0, decoding.size()))
                    .containsExactlyElementsOf(
                            decoding.stream().map(s -> part(s, 1)).toList());
            assertThat(parts.subList(decoding.size(), parts.size())).containsExactly(part(prompt, 3));
        }
    }

    /** What is run again behind wrong drafts is no prompt: it goes first, and whole. */
    @Test
    void rowsThatRunAgainGoWithTheNewOne() {
        Sequence sequence = running(5);
        Sequence prompt = running(100);
        step();
        sequence.append(8);
        sequence.append(9);
        sequence.cached(sequence.cached() + 3); // a pass whose drafts were 7, 8 and 9
        sequence.append(10);
        sequence.takeBack(5);
        assertThat(sequence.pending()).isEqualTo(4);
        Batch batch = step();
        assertThat(batch.parts()).containsExactly(new Batch.Part(sequence, 4, 3, 0), part(prompt, CHUNK));
        assertThat(batch.sampled()).containsExactly(sequence);
        scheduler.remove(prompt);
        Batch next = step();
        assertThat(next.parts()).containsExactly(part(sequence, 1));
        assertThat(next.isDecoding()).isTrue();
    }

    @Test
    void rowsStandWhereTheirSequenceGoesOn() {
        Sequence prompt = running(CHUNK + 3);
        step();
        Sequence other = running(2);
        Batch batch = scheduler.next();
        assertThat(batch.rows().count()).isEqualTo(5);
        assertThat(Arrays.copyOf(batch.ids(), 5)).containsExactly(1008, 1009, 1010, 1000, 1001);
        assertThat(Arrays.copyOf(batch.rows().positions(), 5)).containsExactly(8, 9, 10, 0, 1);
        assertThat(batch.rows().pages()[0]).isSameAs(prompt.pages.pages());
        assertThat(batch.rows().pages()[4]).isSameAs(other.pages.pages());
        assertThat(batch.logitRows()).containsExactly(2, 4);
        assertThat(batch.sampled()).containsExactly(prompt, other);
    }

    @Test
    void aPromptWithoutItsEndChoosesNoToken() {
        running(CHUNK + 1);
        assertThat(scheduler.next().sampled()).isEmpty();
    }

    /** A batch that failed was not committed: its rows are planned again. */
    @Test
    void whatWasNotRunIsPlannedAgain() {
        Sequence sequence = running(30);
        step();
        assertThat(scheduler.next().parts()).containsExactly(part(sequence, 8));
        Batch again = scheduler.next();
        assertThat(again.parts()).containsExactly(part(sequence, 8));
        assertThat(again.rows().positions()).startsWith(8);
    }

    @Test
    void aCancelledSequenceKeepsItsCacheAndGetsNoRows() {
        Sequence cancelled = running(40);
        Sequence other = running(1);
        step();
        scheduler.remove(cancelled);
        assertThat(scheduler.idle()).isEqualTo(1);
        assertThat(step().parts()).containsExactly(part(other, 1));
        assertThat(cancelled.cached()).isEqualTo(8);
        scheduler.add(cancelled);
        assertThat(scheduler.idle()).isZero();
        Batch batch = step();
        assertThat(batch.parts()).containsExactly(part(other, 1), part(cancelled, 8));
        assertThat(batch.rows().positions()).startsWith(2, 8);
    }

    @Test
    void aClosedSequenceGivesItsPagesBack() {
        Sequence closed = running(40);
        step();
        step();
        end(closed);
        assertThat(scheduler.idle()).isZero();
        assertThat(cache.freePages()).isEqualTo(64);
        assertThat(closed.pages.size()).isZero();
        assertThat(scheduler.next().rows().count()).isZero();
        scheduler.release(closed);
        assertThat(cache.freePages()).isEqualTo(64);
    }

    @Test
    void theLongestIdleGivesItsPagesUpFirst() {
        useCacheOf(4);
        Sequence[] all = {running(PAGE), running(PAGE), running(PAGE)};
        step();
        for (int i : new int[] {1, 0, 2}) {
            scheduler.remove(all[i]);
        }
        Sequence next = running(2 * PAGE);
        assertThat(step().parts()).containsExactly(part(next, 2 * PAGE));
        assertThat(Arrays.stream(all).mapToInt(Sequence::cached)).containsExactly(PAGE, 0, PAGE);
        assertThat(scheduler.idle()).isEqualTo(2);
        assertThat(scheduler.reclaim()).isTrue();
        assertThat(Arrays.stream(all).mapToInt(Sequence::cached)).containsExactly(0, 0, PAGE);
        assertThat(scheduler.reclaim()).isTrue();
        assertThat(scheduler.reclaim()).isFalse();
        assertThat(cache.freePages()).isEqualTo(2);
    }

    /** Two need a page more than there are: the one that came last waits, and computes all of its tokens again. */
    @Test
    void whereTheCacheIsFullTheLastWaits() {
        useCacheOf(4);
        Sequence first = running(2 * PAGE);
        Sequence last = running(2 * PAGE);
        step();
        assertThat(step().parts()).containsExactly(part(first, 1));
        assertThat(last.cached()).isZero();
        assertThat(cache.freePages()).isEqualTo(1);
        Sequence later = running(PAGE);
        assertThat(step().parts()).containsExactly(part(first, 1), part(later, PAGE));
        end(later);
        end(first);
        assertThat(step().parts()).containsExactly(part(last, 2 * PAGE + 1));
    }

    @Test
    void aWaitingSequenceThatIsCancelledStaysAway() {
        useCacheOf(4);
        Sequence first = running(2 * PAGE);
        Sequence last = running(2 * PAGE);
        step();
        step();
        scheduler.remove(last);
        scheduler.remove(first);
        assertThat(scheduler.next().rows().count()).isZero();
    }

    /** Those who wait come back in the order in which they came. */
    @Test
    void theFirstThatWaitsGoesOnFirst() {
        useCacheOf(3);
        Sequence[] all = {running(PAGE), running(PAGE), running(PAGE)};
        IntStream.range(0, 2 * PAGE).forEach(i -> step()); // the first takes a page of the last, then one of the second
        assertThat(Arrays.stream(all).mapToInt(Sequence::cached)).containsExactly(3 * PAGE - 1, 0, 0);
        end(all[0]);
        assertThat(step().parts()).containsExactly(part(all[1], PAGE + 1));
        end(all[1]);
        assertThat(step().parts()).containsExactly(part(all[2], PAGE + 1));
    }

    @Test
    void aSequenceThatIsLargerThanTheCacheEndsWithTheReason() {
        useCacheOf(2);
        Sequence large = running(2 * PAGE + 1);
        Sequence small = running(PAGE);
        assertThat(step().parts()).containsExactly(part(small, PAGE));
        scheduler.remove(small);
        assertThat(scheduler.next().rows().count()).isZero();
        assertThat(large.failure())
                .isInstanceOf(ContextFullException.class)
                .hasMessageContaining("smaller than one context");
        assertThat(large.finish()).isEqualTo(FinishReason.CANCELLED);
        assertThat(cache.freePages()).isEqualTo(2);
    }
}
