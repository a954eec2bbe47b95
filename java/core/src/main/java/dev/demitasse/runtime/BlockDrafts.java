package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Device;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.model.Transformer;
import dev.demitasse.sampling.Draw;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Drafts of the next tokens by the model's own draft block (multi-token prediction), where there is nothing to look up
 * that was right as often. The block has a cache of its own, and sees every position once the token behind it is known:
 * so it runs after each pass, on the rows that were right. A draft then is what it predicts behind the last token, and
 * the next what it predicts of its own result.
 */
final class BlockDrafts implements AutoCloseable {
    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;
    private final Drafts drafts;
    private final List<TokenBuffer> chosen = new ArrayList<>(); // of the first drafts, the second ones, …

    /** Rows that the block is to see: where they stand, which of the batch's they are, and what follows them. */
    private static final class Rows {
        final List<Integer> from = new ArrayList<>();
        final List<Integer> ids = new ArrayList<>();
        final List<Integer> positions = new ArrayList<>();
        final List<int[]> pages = new ArrayList<>();

        void add(int row, int id, int position, int[] table) {
            from.add(row);
            ids.add(id);
            positions.add(position);
            pages.add(table);
        }

        BatchRows rows() {
            return new BatchRows(from.size(), ints(positions), pages.toArray(int[][]::new));
        }
    }

    /**
     * A sequence that gets drafts.
     *
     * @param count how many
     * @param row of what the block has seen: that of its last position
     */
    private record Drafting(Sequence sequence, int count, int row) {}

    /** It owns nothing of what it is given. */
    BlockDrafts(Device device, Transformer transformer, KvCache cache, Scheduler scheduler, Drafts drafts) {
        this.device = device;
        this.transformer = transformer;
        this.cache = cache;
        this.scheduler = scheduler;
        this.drafts = drafts;
    }

    /** After a batch has landed: the block sees its rows, and drafts for those who want and need it. */
    void follow(Batch batch) {
        if (batch.parts().stream().anyMatch(part -> part.sequence().failure() != null)) {
            return; // to tell why, rows were run in the place of these
        }
        Rows rows = new Rows();
        List<Drafting> drafting = new ArrayList<>();
        int first = 0;
        for (Batch.Part part : batch.parts()) {
            Sequence sequence = part.sequence();
            int begin = batch.rows().positions()[first];
            int end = Math.min(begin + part.rows() + part.drafts(), sequence.length() - 1);
            if (follows(sequence, begin, end)) {
                for (int position = sequence.followed(); position < end; position++) {
                    int row = first + position - begin;
                    rows.add(
                            row,
                            sequence.token(position + 1),
                            position,
                            batch.rows().pages()[row]);
                }
                sequence.followed(end);
                boolean decodes = end == sequence.length() - 1 && sequence.finish() == null && sequence.isDecoding();
                int count = decodes ? scheduler.proposable(sequence) : 0;
                if (count > 0) {
                    drafting.add(new Drafting(sequence, count, rows.from.size() - 1));
                }
            }
            first += part.rows() + part.drafts();
        }
        if (!rows.from.isEmpty()) {
            drafting.sort(Comparator.comparing(Drafting::count, Collections.reverseOrder()));
            run(rows, drafting, batch.isDecoding());
        }
    }

    /** Whether the block has seen all before, and wants more. */
    private static boolean follows(Sequence sequence, int begin, int end) {
        return !sequence.closed()
                && sequence.request().drafts() > 0
                && sequence.request().maximumTokens() > 1
                && begin <= sequence.followed()
                && sequence.followed() < end;
    }

    /**
     * Runs the block.
     *
     * @param timed whether what it takes is that of drafts: there are no rows of prompts
     */
    private void run(Rows rows, List<Drafting> drafting, boolean timed) {
        long begin = System.nanoTime();
        int steps = drafting.isEmpty() ? 0 : drafting.getFirst().count;
        while (chosen.size() < steps) {
            chosen.add(device.allocateTokens(transformer.maximumRows()));
        }
        int[] last = drafting.stream().mapToInt(Drafting::row).toArray();
        draft(0, new TokenIds.Given(ints(rows.ids)), ints(rows.from), rows.rows(), last);
        for (int step = 1; step < steps; step++) {
            Rows next = new Rows();
            for (Drafting each : drafting) {
                if (each.count > step) {
                    Sequence sequence = each.sequence;
                    int position = sequence.length() - 2 + step;
                    next.add(step == 1 ? each.row : next.from.size(), 0, position, sequence.pages.pages());
                }
            }
            int[] all = IntStream.range(0, next.from.size()).toArray();
            draft(step, new TokenIds.Chosen(chosen.get(step - 1)), ints(next.from), next.rows(), all);
        }
        propose(drafting, steps);
        if (timed && steps > 0) {
            drafts.computed(steps, System.nanoTime() - begin);
        }
    }

    private void draft(int step, TokenIds ids, int[] from, BatchRows rows, int[] wanted) {
        int columns = transformer.config().vocabulary();
        transformer.draft(
                ids,
                from,
                step > 0,
                rows,
                cache.stores(),
                wanted,
                (first, count, logits) -> device.sample(
                        logits, columns, Collections.nCopies(count, Draw.GREEDY), chosen.get(step), first));
    }

    private void propose(List<Drafting> drafting, int steps) {
        int[][] ids = new int[steps][];
        for (int step = 0; step < steps; step++) {
            int draft = step;
            ids[step] = new int
                    [(int) drafting.stream().filter(each -> each.count > draft).count()];
            chosen.get(step).read(ids[step], ids[step].length);
        }
        for (int i = 0; i < drafting.size(); i++) {
            int[] proposed = new int[drafting.get(i).count];
            int count = 0;
            while (count < proposed.length && ids[count][i] != Draw.NONE) {
                proposed[count] = ids[count][i];
                count++;
            }
            Sequence sequence = drafting.get(i).sequence;
            sequence.propose(proposed, count);
            if (count == 0) { // no logit is a number
                sequence.hits(true).add(0, 1);
            }
        }
    }

    private static int[] ints(List<Integer> numbers) {
        return numbers.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() {
        chosen.forEach(TokenBuffer::close);
    }
}
