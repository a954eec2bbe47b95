package dev.demitasse.gpu;

import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;

/** The choice of experts in device memory. How many rows it has is known to the host, which they are is not. */
final class GpuRoutes implements Routes {
    private static final int ALIGNMENT = 16;

    private final Routing routing;
    private final int maximumRows;
    private final GroupTiles.Sharing sharing;
    private final MemoryBlock memory;
    private int count; // rows that were routed

    GpuRoutes(Routing routing, int maximumRows, GroupTiles.Sharing sharing, GpuMemory memory, ListRunner<?, ?> runner) {
        this.routing = routing;
        this.maximumRows = maximumRows;
        this.sharing = sharing;
        long choices = section((long) maximumRows * routing.used());
        long rows = section(places(maximumRows));
        long bytes = 3 * choices + 2 * rows + GroupTiles.WORDS * choices;
        this.memory = new MemoryBlock(bytes, memory, runner, MemoryLedger.Purpose.BUFFERS);
    }

    /** Bytes of so many numbers. */
    private static long section(long numbers) {
        return (numbers * Integer.BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    @Override
    public Routing routing() {
        return routing;
    }

    @Override
    public int maximumRows() {
        return maximumRows;
    }

    @Override
    public int places(int rows) {
        return tiles(rows).padded(rows * routing.used(), routing.experts());
    }

    @Override
    public int places() {
        return places(count);
    }

    /** An expert has a row once at most. */
    private GroupTiles tiles(int rows) {
        return sharing.of(rows * routing.used(), routing.experts(), rows);
    }

    /** From now on it has the choice of so many rows. */
    void routed(int rows) {
        count = rows;
    }

    /** Where the choice of the rows lies. */
    Step.Choice choice() {
        long choices = section((long) maximumRows * routing.used());
        long rows = section(places(maximumRows));
        long ids = memory.address();
        long places = ids + 2 * choices;
        return new Step.Choice(
                routing, count, ids, ids + choices, places, places + choices, places + choices + rows, list());
    }

    /** The tiles of the rows' experts. */
    Step.TileList list() {
        long choices = section((long) maximumRows * routing.used());
        long rows = section(places(maximumRows));
        GroupTiles tiles = tiles(count);
        int all = count * routing.used();
        return new Step.TileList(
                memory.address() + 3 * choices + 2 * rows,
                tiles,
                tiles.most(all, routing.experts()),
                tiles.fewest(all, count),
                all,
                tiles.padded(all, routing.experts()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
