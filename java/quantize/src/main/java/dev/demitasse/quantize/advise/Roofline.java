package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.kv.KvType;
import java.util.Map;

/**
 * Predicts what the forward passes of a model take on a device.
 *
 * <p>A roofline (Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
 * Architectures", 2009), extended: an operation reads its bytes at the device's bandwidth and computes at the rate of
 * its layout and number of rows, which includes unpacking (dequantization); both overlap, but never wholly, so it takes
 * the root of the sum of their squares instead of the longer, or what was measured ({@link DeviceProfile.LinearCost});
 * and each operation costs a launch. What a step reads, the next one reads again: the bandwidth is that of so many
 * bytes, of which the device's caches may hold some.
 */
public final class Roofline {
    /** Rows of a prompt that a forward pass takes, as {@code ModelOptions.DEFAULT} does. */
    private static final int CHUNK = 512;

    /** Choosing experts, giving them their rows, and adding up what they have made. */
    private static final int ROUTING_LAUNCHES = 3;

    private final DeviceProfile device;
    private final ModelShape shape;

    /** What a pass waits for. */
    public enum Bound {
        /** Reading weights and caches. */
        MEMORY,
        /** Arithmetic, unpacking included. */
        ARITHMETIC,
        /** Launches, and the operations between the large ones. */
        LAUNCHES
    }

    /**
     * Seconds of a pass, and of what it consists: reading and arithmetic may overlap, so that they may be more than the
     * whole.
     *
     * @param seconds all of it
     * @param memory reading alone
     * @param arithmetic alone
     * @param launches launches and small operations
     */
    public record Time(double seconds, double memory, double arithmetic, double launches) {
        static final Time NONE = new Time(0, 0, 0, 0);

        /** One after the other. */
        Time plus(Time other) {
            return new Time(
                    seconds + other.seconds,
                    memory + other.memory,
                    arithmetic + other.arithmetic,
                    launches + other.launches);
        }

        /** {@code count} times. */
        Time times(double count) {
            return new Time(seconds * count, memory * count, arithmetic * count, launches * count);
        }

        /** {@return what takes the longest} */
        public Bound bound() {
            if (launches > memory && launches > arithmetic) {
                return Bound.LAUNCHES;
            }
            return memory >= arithmetic ? Bound.MEMORY : Bound.ARITHMETIC;
        }
    }

    /**
     * The roofline of a device, for a model.
     *
     * @param device its profile
     * @param shape the model's dimensions
     */
    public Roofline(DeviceProfile device, ModelShape shape) {
        this.device = device;
        this.shape = shape;
    }

    /**
     * {@return the time of a step that gives each session another token}
     *
     * @param plan the layouts of the weights
     * @param kv the type of the cache
     * @param sessions how many decode together, at least 1
     * @param depth tokens that each session has before the step
     */
    public Time decode(WeightPlan plan, KvType kv, int sessions, int depth) {
        double bytes = sessions * shape.readBytes(kv, depth);
        double bandwidth = device.readBandwidth(usedBytes(plan) + bytes + sessions * stateTraffic());
        DeviceProfile.AttentionCost cost = device.attention(kv);
        double arithmetic = cost.decode().at(sessions) * sessions * shape.attended(depth);
        return products(plan, sessions, bandwidth)
                .plus(small(sessions, device.rest().decode(), cost.storing().decode(), cost))
                .plus(attention(bytes / bandwidth, arithmetic))
                .plus(states(
                        sessions * stateTraffic() / bandwidth,
                        sessions * device.states().decode()))
                .plus(tokens(plan, sessions, bandwidth));
    }

    /**
     * {@return the time of a prompt and of the first token after it}
     *
     * @param plan the layouts of the weights
     * @param kv the type of the cache
     * @param tokens tokens of the prompt
     */
    public Time prefill(WeightPlan plan, KvType kv, int tokens) {
        DeviceProfile.AttentionCost cost = device.attention(kv);
        double bandwidth = device.readBandwidth(usedBytes(plan) + shape.readBytes(kv, tokens - 1));
        Time time = tokens(plan, 1, bandwidth);
        for (int first = 0; first < tokens; first += CHUNK) {
            int rows = Math.min(CHUNK, tokens - first);
            double attended = 0;
            for (int row = first; row < first + rows; row++) {
                attended += shape.attended(row);
            }
            // Rows of one head share what they read, so reading is that of the last row.
            double bytes = shape.readBytes(kv, first + rows - 1);
            double arithmetic = cost.prefill() * attended;
            time = time.plus(products(plan, rows, bandwidth))
                    .plus(small(rows, device.rest().prefill(), cost.storing().prefill(), cost))
                    .plus(attention(bytes / bandwidth, arithmetic))
                    .plus(states(
                            stateTraffic() / bandwidth, rows * device.states().prefill()));
        }
        return time;
    }

    private Time attention(double memory, double arithmetic) {
        Time time = new Time(Math.hypot(memory, arithmetic), memory, arithmetic, 0);
        return time.plus(launches(device.launchSeconds() * shape.attendingLayers()));
    }

    /** Bytes that a session's states are read and written. */
    private double stateTraffic() {
        ModelShape.States states = shape.states();
        return states == null ? 0 : 2.0 * states.bytes();
    }

    /**
     * All layers with a state. What was measured of them has states come from a cache, and go there; both overlap.
     *
     * @param perElement seconds of arithmetic for an element of a layer's state
     */
    private Time states(double memory, double perElement) {
        ModelShape.States states = shape.states();
        if (states == null) {
            return Time.NONE;
        }
        double arithmetic = perElement * states.elements() * states.layers();
        return new Time(Math.max(memory, arithmetic), memory, arithmetic, 0)
                .plus(launches(device.states().fixed() * states.layers()));
    }

    /** All layers' products with that many rows. */
    Time products(WeightPlan plan, int rows) {
        return products(plan, rows, device.readBandwidth(usedBytes(plan)));
    }

    private Time products(WeightPlan plan, int rows, double bandwidth) {
        Time time = Time.NONE;
        for (Map.Entry<WeightPlan.Call, Integer> call : plan.calls().entrySet()) {
            time = time.plus(linear(call.getKey(), rows, bandwidth).times(call.getValue()));
        }
        return time;
    }

    /** All layers' operations beside products and attention: seconds for an element of what is added, and stored. */
    private Time small(int rows, double added, double stored, DeviceProfile.AttentionCost cost) {
        DeviceProfile.RestCost rest = device.rest();
        double layers = shape.layers() * (rest.fixed() + rows * added * elements(shape));
        double storing = shape.attendingLayers() * cost.storing().fixed() + rows * stored * stored(shape);
        return launches(layers + storing + ROUTING_LAUNCHES * device.launchSeconds() * shape.routedLayers());
    }

    /** Logits and their tokens. */
    private Time tokens(WeightPlan plan, int rows, double bandwidth) {
        double sampling = device.sampleSeconds() * shape.vocabulary() * rows;
        Time logits = linear(new WeightPlan.Call(plan.output()), rows, bandwidth);
        return logits.plus(launches(sampling + device.stepSeconds()));
    }

    /** Rows are spread evenly over the experts that they read. */
    private Time linear(WeightPlan.Call call, int rows, double bandwidth) {
        double read = call.read(rows);
        double rowsOfEach = rows * call.used() / read;
        Time time = launches(device.launchSeconds());
        for (WeightPlan.Matrix matrix : call.matrices()) {
            DeviceProfile.LinearCost cost = device.linear(matrix.layout());
            double memory = read * matrix.weights() * cost.bytesPerWeight() / bandwidth;
            double arithmetic = read * matrix.weights() * cost.seconds().at(rowsOfEach);
            time = time.plus(new Time(cost.overlapped(rowsOfEach, memory, arithmetic), memory, arithmetic, 0));
        }
        double elements = (double) call.matrices().getFirst().columns() * rows * call.used(); // the same for all
        double input = elements
                * call.matrices().stream()
                        .mapToDouble(each -> device.linear(each.layout()).inputSeconds())
                        .max()
                        .orElseThrow();
        return time.plus(new Time(input, 0, input, 0));
    }

    private static Time launches(double seconds) {
        return new Time(seconds, 0, 0, seconds);
    }

    /** Elements of a row that a layer's operations beside products and attention read and write. */
    static double elements(ModelShape shape) {
        return 6.0 * shape.hidden() + 3.0 * shape.inner();
    }

    /** Elements of a row's queries, keys and values, read and written, that caches of all layers make ready. */
    static double stored(ModelShape shape) {
        return shape.attention().stream()
                .mapToDouble(each -> each.layers() * stored(shape.heads(), each.kvHeads(), each.headDim()))
                .sum();
    }

    /** The same of one layer. */
    static double stored(int heads, int kvHeads, int headDim) {
        return 2.0 * headDim * (heads + 2 * kvHeads);
    }

    /**
     * {@return bytes of a plan's weights on the device, scales included}
     *
     * @param plan the layouts of the weights
     */
    public long weightBytes(WeightPlan plan) {
        return Math.round(usedBytes(plan)
                + plan.tables().stream().mapToDouble(this::bytes).sum());
    }

    private double bytes(WeightPlan.Matrix matrix) {
        return matrix.weights() * device.linear(matrix.layout()).bytesPerWeight();
    }

    /** Bytes of what rows are multiplied by, all experts among them. */
    private double usedBytes(WeightPlan plan) {
        double bytes = bytes(plan.output());
        for (Map.Entry<WeightPlan.Call, Integer> call : plan.calls().entrySet()) {
            for (WeightPlan.Matrix matrix : call.getKey().matrices()) {
                bytes += (double) call.getValue() * call.getKey().experts() * bytes(matrix);
            }
        }
        return bytes;
    }

    /**
     * {@return the number of sessions whose caches and states fit beside the weights}
     *
     * @param plan the layouts of the weights
     * @param kv the type of the cache
     * @param context positions of each session
     */
    public long sessions(WeightPlan plan, KvType kv, int context) {
        long left = device.memoryBytes() - weightBytes(plan);
        return Math.max(0, left / shape.sessionBytes(kv, context));
    }
}
