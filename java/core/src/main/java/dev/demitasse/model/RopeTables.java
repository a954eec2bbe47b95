package dev.demitasse.model;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Angles of rotary position embedding on a device, of all positions and of a batch's rows. */
final class RopeTables {
    /** Positions whose angles are written at once. */
    private static final int LEAST_ANGLES = 256;

    private final Device device;
    private final ModelConfig config;
    private final int positions;
    private final List<Angles> angles = new ArrayList<>(); // of the configuration's frequencies
    private int known; // positions, from 0 on, whose angles are in the tables

    /**
     * Angles of positions.
     *
     * @param table positions × dimensions / 2 × (cosine, sine)
     * @param ofRows the same of a batch's rows
     */
    private record Angles(RopeFrequencies frequencies, Buffer table, Buffer ofRows) {}

    /** Room for so many positions, and rows of a batch. */
    RopeTables(Device device, DeviceBuffers buffers, ModelConfig config, int positions, int maximumRows) {
        this.device = device;
        this.config = config;
        this.positions = positions;
        for (RopeFrequencies frequencies : config.ropes()) {
            int width = frequencies.dimensions();
            angles.add(
                    new Angles(frequencies, buffers.allocate(positions, width), buffers.allocate(maximumRows, width)));
        }
    }

    /** Writes the angles of positions that come for the first time: twice as many as before, so that it is seldom. */
    void know(BatchRows rows) {
        int last = 0;
        for (int row = 0; row < rows.count(); row++) {
            last = Math.max(last, rows.positions()[row]);
        }
        if (last < known) {
            return;
        }
        if (last >= positions) {
            throw new UsageException("Position " + last + " is not one of " + positions + ".");
        }
        int target = Math.min(positions, Math.max(LEAST_ANGLES, Integer.highestOneBit(last) * 2));
        for (int from = known; from < target; from += LEAST_ANGLES) {
            int to = Math.min(target, from + LEAST_ANGLES);
            for (Angles kind : angles) {
                write(kind.frequencies, kind.table, from, to);
            }
        }
        device.start(); // alone, so that what follows is the same as without
        known = target;
    }

    private static void write(RopeFrequencies frequencies, Buffer table, int from, int to) {
        int width = frequencies.dimensions();
        float[] values = new float[(to - from) * width];
        for (int position = from; position < to; position++) {
            frequencies.angles(position, values, (position - from) * width);
        }
        table.write((long) from * width * Float.BYTES, MemorySegment.ofArray(values));
    }

    /** Looks up the angles of a batch's rows. */
    void lookUp(BatchRows rows) {
        for (Angles kind : angles) {
            device.gatherPositions(kind.table, kind.frequencies.dimensions(), rows, kind.ofRows);
        }
    }

    /** Rotates heads of the rows, by {@code which} of {@link ModelConfig#ropes} or not at all. */
    void rotate(int which, Buffer x, int count, int heads, int headDim) {
        if (which != Layer.NO_ROPE) {
            Angles kind = angles.get(which);
            int dimensions = kind.frequencies.dimensions();
            device.rope(x, count, heads, headDim, dimensions, config.ropeKind(), kind.ofRows);
        }
    }
}
