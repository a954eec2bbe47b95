package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a batch as C++ reads them, and how attention is cut into blocks: made once for all layers of a forward
 * pass. Neighboring rows of one sequence make a block; a row that stands alone makes one for each segment of positions
 * that it sees.
 */
final class AttentionPlan {
    private final CommandList commands;
    private final Map<Sight, Blocks> bySight = new HashMap<>();
    private @Nullable BatchRows rows;
    private long address;

    /** What of {@link AttentionShape} decides which positions a row sees. */
    private record Sight(int window, int ahead) {}

    /**
     * Blocks of attention.
     *
     * @param address of an array of {@code AttentionBlock} (command.h)
     * @param count blocks
     * @param states states of segments that are merged afterwards
     */
    record Blocks(long address, int count, int states) {}

    AttentionPlan(CommandList commands) {
        this.commands = commands;
        commands.afterRun(() -> {
            rows = null;
            bySight.clear();
        });
    }

    /** The address of the rows' {@code BatchRows} (command.h). */
    long address(BatchRows batch) {
        if (batch == rows) {
            return address;
        }
        bySight.clear();
        int count = batch.count();
        MemorySegment tables = commands.scratch((long) count * Long.BYTES);
        int[] previous = null;
        long table = 0;
        for (int row = 0; row < count; row++) {
            int[] pages = batch.pages()[row];
            if (pages != previous) {
                table = commands.copy(pages, pages.length);
                previous = pages;
            }
            tables.setAtIndex(JAVA_LONG, row, table);
        }
        MemorySegment description = commands.scratch((long) Boundary.BatchRows.WORDS * Long.BYTES);
        description.setAtIndex(JAVA_LONG, Boundary.BatchRows.COUNT, count);
        description.setAtIndex(JAVA_LONG, Boundary.BatchRows.POSITIONS, commands.copy(batch.positions(), count));
        description.setAtIndex(JAVA_LONG, Boundary.BatchRows.PAGES, tables.address());
        description.setAtIndex(JAVA_LONG, Boundary.BatchRows.ENDS, commands.copy(batch.ends(), count));
        rows = batch;
        address = description.address();
        return address;
    }

    /** The blocks of a batch for layers whose rows see what {@code shape} says. */
    Blocks blocks(BatchRows batch, AttentionShape shape) {
        return bySight.computeIfAbsent(new Sight(shape.window(), shape.ahead()), sight -> divide(batch, shape));
    }

    private Blocks divide(BatchRows batch, AttentionShape shape) {
        int[] ends = batch.ends();
        int[] ints = new int[Boundary.AttentionBlock.INTS * blockLimit(batch, ends, shape)];
        int count = 0;
        int states = 0;
        for (int first = 0; first < batch.count(); ) {
            int last = first + 1;
            while (last < batch.count()
                    && last - first < Boundary.QUERY_BLOCK
                    && batch.pages()[last] == batch.pages()[first]) {
                last++;
            }
            int firstSegment = firstSegment(batch, first, shape);
            int segments = lastSegment(batch, ends, first, shape) - firstSegment + 1;
            if (last - first > 1) {
                segments = 1;
            }
            for (int i = 0; i < segments; i++) {
                int at = Boundary.AttentionBlock.INTS * count++;
                ints[at + Boundary.AttentionBlock.FIRST] = first;
                ints[at + Boundary.AttentionBlock.LAST] = last;
                ints[at + Boundary.AttentionBlock.SEGMENT] = segments == 1 ? -1 : firstSegment + i;
                ints[at + Boundary.AttentionBlock.STATE] = segments == 1 ? 0 : states + i;
                ints[at + Boundary.AttentionBlock.MERGED] = segments > 1 && i == 0 ? segments : 0;
            }
            states += segments == 1 ? 0 : segments;
            first = last;
        }
        MemorySegment out = commands.scratch((long) Boundary.AttentionBlock.INTS * count * Integer.BYTES);
        MemorySegment.copy(ints, 0, out, JAVA_INT, 0, Boundary.AttentionBlock.INTS * count);
        return new Blocks(out.address(), count, states);
    }

    private static int firstSegment(BatchRows batch, int row, AttentionShape shape) {
        return shape.firstSeen(batch.positions()[row]) / Boundary.SEGMENT;
    }

    private static int lastSegment(BatchRows batch, int[] ends, int row, AttentionShape shape) {
        return shape.lastSeen(batch.positions()[row], ends[row]) / Boundary.SEGMENT;
    }

    private static int blockLimit(BatchRows batch, int[] ends, AttentionShape shape) {
        int limit = 0;
        for (int row = 0; row < batch.count(); row++) {
            limit += lastSegment(batch, ends, row, shape) - firstSegment(batch, row, shape) + 1;
        }
        return limit;
    }
}
