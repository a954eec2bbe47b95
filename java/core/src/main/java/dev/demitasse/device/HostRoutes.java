package dev.demitasse.device;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The routes of a device that works in the host's memory and defers nothing. */
public final class HostRoutes implements Routes {
    private final Routing routing;
    private final int maximumRows;
    private final int[] ids; // rows × used: the experts
    private final float[] weights; // rows × used
    private final int[] places; // rows × used: where they lie
    private final int[] rows; // of places
    private final int[] starts; // of each expert's places, and the end of the last
    private float[] logits = new float[0];
    private float[] values = new float[0];
    private float[] sums = new float[0];
    private int count; // rows that were routed

    HostRoutes(int maximumRows, Routing routing) {
        this.routing = routing;
        this.maximumRows = maximumRows;
        int most = places(maximumRows);
        ids = new int[most];
        weights = new float[most];
        places = new int[most];
        rows = new int[most];
        starts = new int[routing.experts() + 1];
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
        return Math.multiplyExact(rows, routing.used());
    }

    @Override
    public int places() {
        return places(count);
    }

    /** {@return where each expert's places begin, and where the last one's end} */
    public int[] starts() {
        return starts;
    }

    /** Chooses ({@link Device#route}). */
    void choose(Buffer of, int rowCount, @Nullable Buffer bias, @Nullable Buffer scales) {
        int experts = routing.experts();
        int used = routing.used();
        count = rowCount;
        logits = read(of, (long) count * experts, logits);
        float[] biases = bias == null ? new float[0] : read(bias, experts, new float[experts]);
        for (int row = 0; row < count; row++) {
            routing.choose(logits, row * experts, biases, ids, weights, row * used);
        }
        if (scales != null) {
            float[] factors = read(scales, experts, new float[experts]);
            for (int i = 0; i < places(); i++) {
                weights[i] *= factors[ids[i]];
            }
        }
        order();
    }

    /** Counts the places of each expert, and puts them behind each other. */
    private void order() {
        Arrays.fill(starts, 0);
        for (int i = 0; i < places(); i++) {
            starts[ids[i] + 1]++;
        }
        for (int e = 0; e < routing.experts(); e++) {
            starts[e + 1] += starts[e];
        }
        int[] next = Arrays.copyOf(starts, routing.experts());
        for (int i = 0; i < places(); i++) {
            places[i] = next[ids[i]]++;
            rows[places[i]] = i / routing.used();
        }
    }

    /** Gives experts their rows ({@link Device#dispatch}). */
    void dispatch(Device device, Buffer x, int columns, Buffer out) {
        device.gatherRows(x, columns, Arrays.copyOf(rows, places()), out);
        if (!routing.weighsInputs()) {
            return;
        }
        long elements = (long) places() * columns;
        values = read(out, elements, values);
        for (int i = 0; i < places(); i++) {
            for (int c = 0; c < columns; c++) {
                values[places[i] * columns + c] *= weights[i];
            }
        }
        write(values, elements, out);
    }

    /** Adds up what experts have made ({@link Device#combine}). */
    void combine(Buffer x, int columns, Buffer out) {
        values = read(x, (long) places() * columns, values);
        sums = sums.length < count * columns ? new float[count * columns] : sums;
        Arrays.fill(sums, 0, count * columns, 0);
        for (int i = 0; i < places(); i++) {
            float weight = routing.weighsInputs() ? 1 : weights[i];
            int to = i / routing.used() * columns;
            int from = places[i] * columns;
            for (int c = 0; c < columns; c++) {
                sums[to + c] += weight * values[from + c];
            }
        }
        write(sums, (long) count * columns, out);
    }

    /** Multiplies rows by the logistic function of a logit each ({@link Device#gateRows}). */
    static void gate(Buffer x, int rows, int columns, Buffer logits) {
        float[] of = read(logits, rows, new float[rows]);
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++) {
            long at = (long) r * columns * Float.BYTES;
            x.read(at, MemorySegment.ofArray(row));
            float weight = (float) (1 / (1 + Math.exp(-of[r])));
            for (int c = 0; c < columns; c++) {
                row[c] *= weight;
            }
            x.write(at, MemorySegment.ofArray(row));
        }
    }

    private static float[] read(Buffer buffer, long count, float[] room) {
        float[] read = room.length < count ? new float[Math.toIntExact(count)] : room;
        buffer.read(0, MemorySegment.ofArray(read).asSlice(0, count * Float.BYTES));
        return read;
    }

    private static void write(float[] from, long count, Buffer to) {
        to.write(0, MemorySegment.ofArray(from).asSlice(0, count * Float.BYTES));
    }

    @Override
    public void close() {}
}
