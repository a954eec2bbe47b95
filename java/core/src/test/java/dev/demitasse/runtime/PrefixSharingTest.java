package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.reference.ReferenceBackend;
import dev.demitasse.testkit.Golden;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who has what others have computed, where there is no room, and who gives it up. */
class PrefixSharingTest {
    private static final int[] PROMPT = IntStream.range(3, 103).toArray();
    private static final GenerationOptions FEW =
            GenerationOptions.GREEDY.withMaximumTokens(3).withIgnoreEnd(true);

    private static Sequence cached(KvCache cache, int positions) {
        Sequence sequence = new Sequence("");
        assertThat(cache.reserve(sequence.pages, positions)).isTrue();
        sequence.restore(new Snapshots.Cached(new int[positions], 0, 0));
        return sequence;
    }

    /** Closed sequences are kept as long as they have something that no other has, so that there is an end of them. */
    @Test
    void whoHasNothingAloneIsNotKept() {
        KvShape shape = new KvShape(1, 1, 2, 8, KvType.F32);
        try (KvCache cache = new KvCache(new ReferenceBackend().open(DeviceOptions.defaults()), shape)) {
            Scheduler scheduler = new Scheduler(cache, 8, 8, 256, new Drafts(), false);
            Sequence open = cached(cache, 70);
            for (int i = 0; i < 50; i++) {
                Sequence fork = new Sequence("");
                cache.share(open.pages, fork.pages, 70);
                fork.become(open);
                fork.close();
                scheduler.release(fork);
            }
            assertThat(scheduler.retired()).isEmpty();
            open.close();
            scheduler.release(open);
            assertThat(scheduler.retired()).hasSize(1);
            assertThat(cache.freePages()).isEqualTo(5);
            Sequence alone = cached(cache, 5 * KvShape.PAGE);
            assertThat(scheduler.hasRoom(3 * KvShape.PAGE)).isTrue();
            assertThat(scheduler.hasRoom(3 * KvShape.PAGE + 1)).isFalse();
            assertThat(scheduler.reclaim()).isTrue();
            assertThat(cache.freePages()).isEqualTo(3);
            alone.close();
            scheduler.release(alone);
            assertThat(List.of(open.cached(), alone.cached())).containsExactly(0, 5 * KvShape.PAGE);
        }
    }

    /** A session that is asked for no token has what it shares, and gives it up where another needs it. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen35"})
    void noTokensHoldNobodyUp(String architecture) {
        ModelOptions options = ModelOptions.DEFAULT
                .withBackend("reference")
                .withContextLength(128)
                .withSequences(1);
        try (Model model = Model.load(Golden.tiny(architecture), options)) {
            try (Session first = model.newSession()) {
                first.generate(PROMPT, FEW, text -> {});
            }
            try (Session second = model.newSession();
                    Session third = model.newSession("other")) {
                assertThat(second.generate(PROMPT, FEW.withMaximumTokens(0), text -> {})
                                .cachedTokens())
                        .isPositive();
                assertThat(third.generate(PROMPT, FEW, text -> {}).tokens()).hasSize(3);
            }
        }
    }
}
