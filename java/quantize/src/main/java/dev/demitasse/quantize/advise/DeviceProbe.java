package dev.demitasse.quantize.advise;

import dev.demitasse.Devices;
import dev.demitasse.ModelShape;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.Rope;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Measures a device's profile with the operations that a model is made of, in about two seconds: {@code linear} in each
 * layout, attention over each cache, the small operations, and reading, all in turns.
 */
final class DeviceProbe implements AutoCloseable {
    /** Positions before the rows whose attention is timed. */
    private static final int DEPTH = 1024;

    /** Little work for its bytes. */
    private static final WeightLayout LIGHT = WeightLayout.int8(32);

    private static final DeviceProfile.RestCost NOTHING = new DeviceProfile.RestCost(0, 0, 0);

    private static final int PROMPT_ROWS = 64;
    private static final int SESSIONS = 8;
    private static final int MANY_ROWS = 64;
    private static final int TINY = 64;

    private final ModelShape shape;
    /** The layers of whose attention there is the most. */
    private final ModelShape.Attention heads;

    private final Device device;
    /** The same device, where a row of activations has one scale. */
    private final Device rowDevice;

    private final Stopwatch stopwatch = new Stopwatch();
    private final Resources resources = new Resources();

    private DeviceProbe(String backend, DeviceOptions options, ModelShape shape) {
        this.shape = shape;
        heads = shape.attention().stream()
                .max(Comparator.comparingDouble(
                        each -> each.layers() * each.seen(Math.min(DEPTH, shape.contextLength())) * each.headDim()))
                .orElseThrow();
        try {
            device = open(backend, options.withActivations(ActivationType.INT8));
            rowDevice = open(backend, options.withActivations(ActivationType.INT8_ROW));
        } catch (RuntimeException | Error e) {
            resources.close();
            throw e;
        }
    }

    private Device open(String backend, DeviceOptions options) {
        return resources.own(Devices.open(backend, options), Device::close);
    }

    /** What attention over a cache takes, before its parts are known. */
    private record AttentionTimings(
            Stopwatch.Timing one, Stopwatch.Timing several, Stopwatch.Timing prompt, RestTimings storing) {}

    /** What small operations take with one session, with {@link #SESSIONS}, and with {@link #MANY_ROWS} of a prompt. */
    private record RestTimings(Stopwatch.Timing one, Stopwatch.Timing several, Stopwatch.Timing prompt) {
        /**
         * The parts of it.
         *
         * @param elements of a row
         */
        DeviceProfile.RestCost cost(double elements) {
            double perRow = Math.max(0, (several.seconds() - one.seconds()) / (SESSIONS - 1));
            double fixed = Math.max(0, one.seconds() - perRow);
            double perPromptRow = Math.max(0, prompt.seconds() - fixed) / MANY_ROWS;
            return new DeviceProfile.RestCost(fixed, perRow / elements, perPromptRow / elements);
        }
    }

    /**
     * Measures.
     *
     * @param plans of the weights
     */
    static DeviceProfile measure(
            String backend, DeviceOptions options, ModelShape shape, Collection<WeightPlan> plans) {
        Set<WeightLayout> layouts = new LinkedHashSet<>();
        plans.forEach(plan -> layouts.addAll(plan.layouts()));
        long weights = plans.stream().mapToLong(WeightPlan::weights).max().orElseThrow();
        try (DeviceProbe probe = new DeviceProbe(backend, options, shape)) {
            return probe.measure(layouts, weights);
        }
    }

    private Buffer random(long count) {
        return resources.own(device.upload(LinearProbe.numbers(Math.toIntExact(count))), Buffer::close);
    }

    private DeviceProfile measure(Collection<WeightLayout> wanted, long weights) {
        long free = device.freeBytes(); // before this takes some
        Set<WeightLayout> layouts = new LinkedHashSet<>(List.of(WeightLayout.F32, WeightLayout.F16, LIGHT));
        layouts.addAll(wanted);
        LinearProbe smallest = new LinearProbe(device, WeightLayout.int8(32), TINY, TINY, resources);
        Stopwatch.Timing small = smallest.time(stopwatch, 1);
        Map<WeightLayout, LinearProbe> probes = new LinkedHashMap<>();
        for (WeightLayout layout : layouts) {
            Device suitable = layout.group() == WeightLayout.ROW ? rowDevice : device;
            LinearProbe probe = LinearProbe.of(suitable, layout, shape.hidden(), resources);
            probe.time(stopwatch);
            if (wanted.contains(layout)) {
                probe.timeFromMemory(stopwatch, weights);
            }
            probes.put(layout, probe);
        }
        Map<KvType, AttentionTimings> caches = new EnumMap<>(KvType.class);
        for (KvType type : Advisor.CACHES) {
            caches.put(type, attention(type));
        }
        RestTimings rest = inTurns(this::rest);
        ModelShape.States states = shape.states();
        RestTimings next = states == null
                ? null
                : inTurns(rows -> new StateProbe(device, states, resources).time(rows, stopwatch));
        Stopwatch.Timing sample = sample();
        double mostBytes = Float.BYTES * (double) weights; // weights in F16, and caches
        ReadingProbe reading =
                new ReadingProbe(device, Objects.requireNonNull(probes.get(LIGHT)), mostBytes, stopwatch);

        stopwatch.run();

        double quickest = probes.values().stream()
                .mapToDouble(LinearProbe::oneRowSeconds)
                .min()
                .orElseThrow();
        double launch = Math.min(small.seconds(), quickest / 2); // where it was disturbed, it seems to take longer
        Curve seconds = seconds(probes.values(), reading, launch);
        Map<WeightLayout, DeviceProfile.LinearCost> linear = linear(probes, seconds, launch);
        Map<KvType, DeviceProfile.AttentionCost> attention = new EnumMap<>(KvType.class);
        caches.forEach((type, timings) -> attention.put(type, cost(timings, launch)));
        return new DeviceProfile(
                device.name() + ", " + device.description(),
                DeviceProfile.MEASURED,
                seconds,
                peaks(linear),
                launch,
                0,
                free,
                linear,
                attention,
                rest.cost(Roofline.elements(shape)),
                next == null || states == null ? NOTHING : next.cost(states.elements()),
                sample.seconds() / shape.vocabulary());
    }

    /** Seconds of bytes that are read over and over, by the layout that reads them most quickly. */
    private static Curve seconds(Collection<LinearProbe> probes, ReadingProbe reading, double launch) {
        double bandwidth = probes.stream()
                .mapToDouble(probe -> probe.bandwidth(launch))
                .max()
                .orElseThrow();
        Curve seconds = reading.seconds(launch, bandwidth);
        return seconds.times(probes.stream()
                .mapToDouble(probe -> probe.share(launch, seconds))
                .min()
                .orElseThrow());
    }

    private static Map<WeightLayout, DeviceProfile.LinearCost> linear(
            Map<WeightLayout, LinearProbe> probes, Curve seconds, double launch) {
        double exposed = probes.values().stream()
                .mapToDouble(probe -> probe.exposed(launch, seconds))
                .filter(each -> !Double.isNaN(each))
                .average()
                .orElse(0);
        Map<WeightLayout, DeviceProfile.LinearCost> linear = new LinkedHashMap<>();
        probes.forEach((layout, probe) -> linear.put(layout, probe.cost(launch, seconds, exposed)));
        return linear;
    }

    private static DeviceProfile.Peaks peaks(Map<WeightLayout, DeviceProfile.LinearCost> linear) {
        return new DeviceProfile.Peaks(
                peak(linear, WeightLayout.F32::equals),
                peak(linear, WeightLayout.F16::equals),
                peak(linear, layout -> layout.element() == WeightLayout.Element.INT8));
    }

    /** The most operations a second with many rows. */
    private static double peak(Map<WeightLayout, DeviceProfile.LinearCost> linear, Predicate<WeightLayout> layouts) {
        return linear.entrySet().stream()
                .filter(entry -> layouts.test(entry.getKey()))
                .mapToDouble(entry -> 2 / entry.getValue().seconds().slope())
                .max()
                .orElse(0);
    }

    private int depth() {
        return Math.min(DEPTH, shape.contextLength());
    }

    private int queries() {
        return shape.heads() * heads.headDim();
    }

    private int promptRows() {
        return Math.min(PROMPT_ROWS, depth());
    }

    private AttentionTimings attention(KvType type) {
        int depth = depth();
        int pages = Math.ceilDiv(depth, KvShape.PAGE);
        KvShape cache = new KvShape(1, heads.kvHeads(), heads.headDim(), pages * SESSIONS, type);
        KvStore store = resources.own(device.allocateKv(cache), KvStore::close);
        return new AttentionTimings(
                attention(store, decoding(1, depth, pages)),
                attention(store, decoding(SESSIONS, depth, pages)),
                attention(store, prompt(promptRows(), depth)),
                inTurns(rows -> storing(type, rows)));
    }

    private static RestTimings inTurns(Function<BatchRows, Stopwatch.Timing> operations) {
        return new RestTimings(
                operations.apply(decoding(1, 2, 1)), // at position 0 no state is read
                operations.apply(decoding(SESSIONS, 2, 1)),
                operations.apply(prompt(MANY_ROWS, MANY_ROWS)));
    }

    private DeviceProfile.AttentionCost cost(AttentionTimings timings, double launch) {
        double elements = (double) depth() * queries();
        double[] decode = {timings.one.seconds(), timings.several.seconds() / SESSIONS};
        Arrays.setAll(decode, i -> Math.max(0, decode[i] - launch) / elements);
        int rows = promptRows();
        double seen = rows * (depth() - (rows - 1) / 2.0);
        return new DeviceProfile.AttentionCost(
                new Curve(new double[] {1, SESSIONS}, decode),
                Math.max(0, timings.prompt.seconds() - launch) / seen / queries(),
                timings.storing.cost(Roofline.stored(shape.heads(), heads.kvHeads(), heads.headDim())));
    }

    private static BatchRows decoding(int sessions, int depth, int pages) {
        int[] positions = new int[sessions];
        Arrays.fill(positions, depth - 1);
        int[][] tables = new int[sessions][];
        Arrays.setAll(tables, session -> table(session, pages));
        return new BatchRows(sessions, positions, tables);
    }

    /** The last rows of a prompt. */
    private static BatchRows prompt(int rows, int depth) {
        int[] positions = new int[rows];
        Arrays.setAll(positions, row -> depth - rows + row);
        int[][] tables = new int[rows][];
        Arrays.fill(tables, table(0, Math.ceilDiv(depth, KvShape.PAGE)));
        return new BatchRows(rows, positions, tables);
    }

    private static int[] table(int session, int pages) {
        int[] table = new int[pages];
        Arrays.setAll(table, page -> session * pages + page);
        return table;
    }

    private Stopwatch.Timing attention(KvStore store, BatchRows rows) {
        long elements = (long) rows.count() * queries();
        float scale = (float) (1 / Math.sqrt(heads.headDim()));
        AttentionShape attention = new AttentionShape(shape.heads(), heads.kvHeads(), heads.headDim(), scale, 0, 0);
        Buffer query = random(elements);
        Buffer out = resources.own(device.allocate(elements * Float.BYTES), Buffer::close);
        return stopwatch.add(out, () -> device.attention(query, store, 0, attention, rows, out));
    }

    /** A layer's operations beside products, attention and what makes its cache ready, for these rows. */
    private Stopwatch.Timing rest(BatchRows batch) {
        int rows = batch.count();
        int hidden = shape.hidden();
        long inner = rows * Math.max(1, Math.round(shape.inner()));
        Buffer x = random((long) rows * hidden);
        Buffer y = random((long) rows * hidden);
        Buffer norm = random(hidden);
        Buffer gate = random(inner);
        Buffer up = random(inner);
        Buffer product = resources.own(device.allocate(inner * Float.BYTES), Buffer::close);
        return stopwatch.add(product, () -> {
            device.rmsNorm(x, norm, rows, hidden, 1e-5f, y);
            device.add(x, norm, hidden);
            device.rmsNorm(x, norm, rows, hidden, 1e-5f, y);
            device.add(y, x, (long) rows * hidden);
            device.gatedActivation(Gate.SILU, gate, up, inner, product);
        });
    }

    /** Positions, rotating where a cache of the type is rotated, and storing: in an order that GPUs fuse. */
    private Stopwatch.Timing storing(KvType type, BatchRows batch) {
        int rows = batch.count();
        int headDim = heads.headDim();
        int keys = heads.kvHeads() * headDim;
        KvShape cache = new KvShape(1, heads.kvHeads(), headDim, rows, type);
        KvStore store = resources.own(device.allocateKv(cache), KvStore::close);
        Buffer query = random((long) rows * queries());
        Buffer key = random((long) rows * keys);
        Buffer value = random((long) rows * keys);
        Buffer attended = random((long) rows * queries());
        boolean rotated = KvRotation.AUTO.rotates(type);
        float[] turn = new float[rows * headDim];
        Arrays.fill(turn, (float) Math.sqrt(0.5)); // cosines and sines: numbers that are turned keep their size
        Buffer angles = resources.own(device.upload(turn), Buffer::close);
        return stopwatch.add(query, () -> {
            device.rope(query, rows, shape.heads(), headDim, headDim, Rope.NEOX, angles);
            device.rope(key, rows, heads.kvHeads(), headDim, headDim, Rope.NEOX, angles);
            if (rotated) {
                device.rotate(query, rows, shape.heads(), headDim);
                device.rotate(key, rows, heads.kvHeads(), headDim);
                device.rotate(value, rows, heads.kvHeads(), headDim);
            }
            device.kvAppend(store, 0, key, value, batch);
            if (rotated) {
                device.rotate(attended, rows, shape.heads(), headDim);
            }
        });
    }

    /** Choosing a token greedily. */
    private Stopwatch.Timing sample() {
        int[] out = new int[1];
        Buffer logits = random(shape.vocabulary());
        return stopwatch.add(logits, () -> device.sample(logits, shape.vocabulary(), List.of(Draw.GREEDY), out));
    }

    @Override
    public void close() {
        resources.close();
    }
}
