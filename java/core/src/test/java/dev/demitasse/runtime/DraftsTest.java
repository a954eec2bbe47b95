package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class DraftsTest {
    /** A pass of one row a sequence, without states. */
    private static Drafts.Planned rows(int count) {
        return new Drafts.Planned(count, count, 0, false);
    }

    private static int find(int... tokens) {
        int[] more = Arrays.copyOf(tokens, tokens.length + 5); // others may lie behind
        Arrays.fill(more, tokens.length, more.length, tokens[tokens.length - 1]);
        return PromptLookup.find(more, tokens.length);
    }

    @Test
    void whatFollowedTheLongestMatchIsDrafted() {
        assertThat(find(1, 2, 3, 4, 9, 1, 2, 3)).isEqualTo(3);
        assertThat(find(1, 2, 3, 4, 7, 1, 2, 3, 5, 8, 1, 2, 3))
                .as("of equals the last")
                .isEqualTo(8);
        assertThat(find(7, 1, 2, 3, 4, 1, 2, 3, 5, 7, 1, 2, 3))
                .as("the longest")
                .isEqualTo(4);
        assertThat(find(1, 2, 9, 1, 2)).as("two are too few").isEqualTo(-1);
        assertThat(find(1, 2, 3)).isEqualTo(-1);
        assertThat(find(6, 6, 6, 6)).isEqualTo(3);
    }

    /** Beside a search that looks at every place. */
    @Test
    void itFindsWhatASearchFinds() {
        SplittableRandom random = new SplittableRandom(20261129);
        for (int run = 0; run < 2000; run++) {
            int length = 1 + random.nextInt(40);
            int[] tokens = random.ints(length, 0, 3).toArray();
            int best = 2;
            int expected = -1;
            for (int end = 1; end < length; end++) {
                int match = 0;
                while (match < 16 && match < end && tokens[end - 1 - match] == tokens[length - 1 - match]) {
                    match++;
                }
                if (match >= Math.max(3, best)) {
                    best = match;
                    expected = end;
                }
            }
            assertThat(PromptLookup.find(tokens, length)).as("run %d", run).isEqualTo(expected);
        }
    }

    @Test
    void asManyAreDraftedAsPay() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        drafts.timed(1, 1000);
        assertThat(drafts.count(rows(1), 8, hits))
                .as("before anything is known they are tried")
                .isPositive();
        for (int rows = 2; rows <= 9; rows++) {
            drafts.timed(rows, 1000 + 10 * rows); // rows cost next to nothing
        }
        for (int i = 0; i < 50; i++) {
            hits.add(8, 8);
        }
        assertThat(drafts.count(rows(1), 8, hits)).isEqualTo(8);
        assertThat(drafts.count(rows(1), 3, hits)).isEqualTo(3);
        for (int i = 0; i < 200; i++) {
            for (int rows = 2; rows <= 9; rows++) {
                drafts.timed(rows, 1000L * rows); // as much as passes of their own
            }
        }
        assertThat(drafts.count(rows(1), 8, hits)).isZero();
    }

    /** A pass that something else held up does not keep drafts away for ever. */
    @Test
    void oneSlowPassIsForgotten() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        drafts.timed(1, 1000);
        for (int rows = 2; rows <= 9; rows++) {
            drafts.timed(rows, 50_000);
        }
        int waits = 0;
        while (drafts.count(rows(1), 8, hits) == 0) {
            assertThat(++waits).isLessThan(2000);
        }
        assertThat(waits).isGreaterThan(10);
    }

    /** Wrong drafts end drafting, and not for ever. */
    @Test
    void aSequenceWhoseDraftsWereWrongGetsAnotherChance() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        for (int rows = 1; rows <= 9; rows++) {
            drafts.timed(rows, 1000 + 200 * rows);
        }
        int drafted = 0;
        for (int pass = 0; pass < 1000; pass++) {
            int count = drafts.count(rows(1), 8, hits);
            if (count > 0) {
                hits.add(0, count);
                drafts.timed(1 + count, 1000 + 200 * (1 + count));
                drafted++;
            }
        }
        assertThat(drafted).isBetween(30, 120);
        int waits = 0;
        while (drafts.count(rows(1), 8, hits) < 4) {
            hits.add(1, 1);
            assertThat(++waits).isLessThan(40);
        }
    }

    @Test
    void beyondTheRowsThatAreTimedNothingIsDrafted() {
        Drafts drafts = new Drafts();
        drafts.timed(1, 1000);
        drafts.timed(500, 1000);
        assertThat(drafts.count(rows(64), 8, new Drafts.Hits())).isZero();
        assertThat(drafts.count(rows(100), 8, new Drafts.Hits())).isZero();
    }

    /** Where wrong drafts make rows run again, fewer pay. */
    @Test
    void rowsThatRunAgainCount() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        for (int rows = 1; rows <= 9; rows++) {
            drafts.timed(rows, 600 + 400 * rows);
        }
        for (int i = 0; i < 50; i++) {
            hits.add(i % 2, 1); // every other is right
        }
        int without = drafts.count(rows(1), 8, hits);
        assertThat(without).isPositive();
        assertThat(drafts.count(new Drafts.Planned(1, 1, 1, false), 8, hits)).isLessThan(without);
        for (int i = 0; i < 300; i++) {
            hits.add(8, 8);
        }
        assertThat(drafts.count(new Drafts.Planned(1, 1, 1, false), 8, hits))
                .as("none is wrong")
                .isEqualTo(8);
    }

    /** Drafts that take long to compute must be right the more often. */
    @Test
    void whatDraftsTakeCounts() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        Drafts.Planned computed = new Drafts.Planned(1, 1, 0, true);
        for (int rows = 1; rows <= 9; rows++) {
            drafts.timed(rows, 1000 + 10 * rows);
        }
        for (int i = 0; i < 50; i++) {
            hits.add(i % 2, 1); // every other is right
        }
        drafts.computed(4, 400);
        assertThat(drafts.count(computed, 8, hits)).isBetween(1, 3);
        assertThat(drafts.count(rows(1), 8, hits)).as("looked up").isGreaterThan(3);
        for (int i = 0; i < 20; i++) {
            drafts.computed(1, 1000);
        }
        assertThat(drafts.count(computed, 8, hits)).isZero();
        int waits = 0;
        while (drafts.count(computed, 8, hits) == 0) {
            assertThat(++waits).as("for another chance").isLessThan(2000);
        }
        assertThat(waits).isGreaterThan(10);
    }

    /** Rows that run again are no tokens: drafts still pay beside them. */
    @Test
    void rowsThatRunAgainAreNoTokens() {
        Drafts drafts = new Drafts();
        Drafts.Hits hits = new Drafts.Hits();
        for (int rows = 1; rows <= 16; rows++) {
            drafts.timed(rows, 600 + 400 * rows);
        }
        for (int i = 0; i < 50; i++) {
            hits.add(4, 5);
        }
        assertThat(drafts.count(new Drafts.Planned(7, 1, 7, false), 4, hits)).isPositive();
    }
}
