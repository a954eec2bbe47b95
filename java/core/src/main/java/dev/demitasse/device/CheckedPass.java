package dev.demitasse.device;

import dev.demitasse.kv.KvShape;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/**
 * A pass as a device sees it behind {@link CheckedDevice}: the same one for the same, until something that it may use
 * is closed. It keeps what ids and positions may be, as its operations have shown: where it is replayed they are not
 * asked.
 */
final class CheckedPass implements Pass {
    private static final TokenIds NO_IDS = new TokenIds.Given(new int[0]);

    private final Pass pass;
    private final LinearWeight table;
    private final KvStore kv;
    private TokenIds ids = NO_IDS; // as they were given to the checked device
    private int tableRows;
    private long positions = Long.MAX_VALUE;
    private long slots = Long.MAX_VALUE;
    private KvShape pages; // of the cache with the fewest
    private final Set<CheckedHandle.Choice> choices = Collections.newSetFromMap(new IdentityHashMap<>());

    /**
     * A pass.
     *
     * @param table the device's own
     * @param kv the device's own
     */
    CheckedPass(Pass pass, LinearWeight table, KvStore kv) {
        this.pass = pass;
        this.table = table;
        this.tableRows = table.rows();
        this.kv = kv;
        this.pages = kv.shape();
    }

    @Override
    public LinearWeight table() {
        return table;
    }

    @Override
    public KvStore kv() {
        return kv;
    }

    /** The ids of the next call, as they were given to the checked device. */
    void give(TokenIds given) {
        ids = given;
    }

    /** Its ids index a table of {@code rows}. */
    void limitIds(int rows) {
        tableRows = Math.min(tableRows, rows);
    }

    /** Its positions index a table of {@code rows}. */
    void limitPositions(long rows) {
        positions = Math.min(positions, rows);
    }

    /** Its rows stand in a cache of that shape, too. */
    void limitPages(KvShape shape) {
        pages = shape.pages() < pages.pages() ? shape : pages;
    }

    /** The shape of that of its caches that has the fewest pages. */
    KvShape pages() {
        return pages;
    }

    /** It chooses experts. */
    void routes(CheckedHandle.Choice choice) {
        choices.add(choice);
    }

    /**
     * What experts it chose is known no more: where it is replayed nobody hears of how many rows, and what it is given
     * is for it alone.
     */
    void forgetChoices() {
        choices.forEach(CheckedHandle.Choice::forget);
    }

    /** Its sequences have one of {@code count} states each. */
    void limitSlots(long count) {
        slots = Math.min(slots, count);
    }

    /** Ids are below this. */
    int tableRows() {
        return tableRows;
    }

    /** Positions are below this. */
    long positions() {
        return positions;
    }

    /** Numbers of states are below this; there are none where it is {@link Long#MAX_VALUE}. */
    long slots() {
        return slots;
    }

    @Override
    public void operations(TokenIds inner, BatchRows rows) {
        pass.operations(ids, rows); // which come back to the checked device
    }
}
