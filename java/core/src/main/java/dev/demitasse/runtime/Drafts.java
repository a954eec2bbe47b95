package dev.demitasse.runtime;

import java.util.Arrays;

/**
 * How many tokens to draft: as many as let the most tokens come a second, by what passes of so many rows took, and by
 * how many drafts of a sequence were right. What is drafted changes when tokens come, and never which.
 */
public class Drafts {
    /** Rows whose time is kept apart. */
    private static final int MOST_ROWS = 64;
    /** What a row more is taken to cost where it was never timed, so that it is tried: of the time of one row. */
    private static final double ASSUMED_COST = 0.1;
    /** The same for a draft that the model's draft block computes. */
    private static final double ASSUMED_DRAFT = 0.1;
    /** The share of a longer time in what passes of as many rows are taken to take; a shorter one is what they take. */
    private static final double LONGER = 0.5;
    /** How fast times are forgotten that kept drafts away: one may have been an accident. */
    private static final double FORGETTING = 0.005;

    /**
     * A pass.
     *
     * @param rows of it, those of the sequence that is to draft included
     * @param sequences that get a token of it
     * @param repeatable the sequence's own rows, where a wrong draft makes the next pass run them, and those of the
     *     right drafts, again; else 0
     * @param computed whether drafts are computed by the model's draft block, which takes time too
     */
    public record Planned(int rows, int sequences, int repeatable, boolean computed) {}

    private final double[] nanoseconds = new double[MOST_ROWS + 1]; // of a pass of so many rows; 0: not known

    private double draftNanoseconds; // of a draft that is computed; 0: not known

    /** No time is known yet. */
    public Drafts() {}

    /**
     * How many drafts of a sequence were right: a draft counts where all before it were.
     *
     * <p>Counts fade, so that what a sequence repeats now matters more than what it did, and so that a sequence whose
     * drafts were wrong gets another chance.
     */
    public static final class Hits {
        private static final double RIGHT = 2; // before any draft: two of three
        private static final double TRIED = 3;
        private static final double FADING = 0.95; // with each pass that has drafts
        private static final double FORGIVING = 0.995; // and with each that might have had some

        private double right;
        private double tried;

        /** Nothing was drafted yet. */
        public Hits() {}

        /** Drafts were looked at: the first {@code accepted} of {@code drafted} were right. */
        void add(int accepted, int drafted) {
            fade(FADING);
            right += accepted;
            tried += Math.min(accepted + 1, drafted);
        }

        /** There was something to draft, and it did not pay. */
        void forgive() {
            fade(FORGIVING);
        }

        private void fade(double factor) {
            right *= factor;
            tried *= factor;
        }

        double rate() {
            return (right + RIGHT) / (tried + TRIED);
        }
    }

    /** A pass of {@code rows} rows, no prompt among them, took that long. */
    void timed(int rows, long elapsed) {
        if (rows <= MOST_ROWS) {
            double before = nanoseconds[rows];
            nanoseconds[rows] = before == 0 || elapsed < before ? elapsed : before + LONGER * (elapsed - before);
        }
    }

    /** To compute {@code drafts} drafts, one after the other, took that long. */
    void computed(int drafts, long elapsed) {
        double each = (double) elapsed / drafts;
        boolean shorter = draftNanoseconds == 0 || each < draftNanoseconds;
        draftNanoseconds = shorter ? each : draftNanoseconds + LONGER * (each - draftNanoseconds);
    }

    /**
     * How many drafts pay.
     *
     * @param pass what is in it without drafts
     * @param most drafts that there are
     * @param hits of the sequence
     */
    public int count(Planned pass, int most, Hits hits) {
        int rows = pass.rows;
        int best = 0;
        double highest = 0;
        double rate = hits.rate();
        double expected = 1; // tokens of the sequence
        double chance = 1; // that the last of them is right
        double repeated = 0; // rows to run again where a draft was wrong
        double computing = pass.computed ? draftCost() : 0; // of one
        for (int drafts = 0; drafts <= most && rows + drafts <= MOST_ROWS; drafts++) {
            double time = cost(rows + drafts);
            double repeating = drafts == 0 ? 0 : repeated * Math.max(0, time - cost(rows)) / drafts;
            double speed = (pass.sequences - 1 + expected) / (time + repeating + drafts * computing);
            if (speed > highest) {
                highest = speed;
                best = drafts;
            }
            repeated += pass.repeatable == 0 ? 0 : chance * (1 - rate) * (pass.repeatable + drafts);
            chance *= rate;
            expected += chance;
        }
        if (best == 0) {
            hits.forgive();
            if (pass.computed) {
                draftNanoseconds -= FORGETTING * Math.max(0, draftNanoseconds - ASSUMED_DRAFT * cost(1));
            }
            for (int more = 1; more <= most && rows + more <= MOST_ROWS; more++) {
                double assumed = cost(rows) * (1 + ASSUMED_COST * more);
                double known = nanoseconds[rows + more];
                nanoseconds[rows + more] = known - FORGETTING * Math.max(0, known - assumed);
            }
        }
        return best;
    }

    private double draftCost() {
        return draftNanoseconds == 0 ? ASSUMED_DRAFT * cost(1) : draftNanoseconds;
    }

    /** Time of a pass, as far as is known: that of the next fewer rows, and a little more. */
    private double cost(int rows) {
        int known = rows;
        while (known > 0 && nanoseconds[known] == 0) {
            known--;
        }
        if (known == 0) {
            double least =
                    Arrays.stream(nanoseconds).filter(time -> time > 0).min().orElse(1);
            return least * (1 + ASSUMED_COST * rows);
        }
        double one = nanoseconds[1] == 0 ? nanoseconds[known] : nanoseconds[1];
        return nanoseconds[known] + ASSUMED_COST * one * (rows - known);
    }
}
