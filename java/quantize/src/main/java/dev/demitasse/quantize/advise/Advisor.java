package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.WeightMix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Says when quantization pays: measures a device or takes a published one, and predicts what a model would do there
 * with each choice of weights and cache.
 *
 * <p>Times are seconds, speeds tokens a second, sizes bytes. The model is a {@link Roofline} (Williams, Waterman and
 * Patterson, 2009).
 *
 * <pre>{@code
 * ModelShape shape = Published.model("llama-3.1-8b");
 * Advisor advisor = new Advisor(shape, null);
 * Advice advice = advisor.advise(Published.device("rtx4090"));
 * advice.sentences().forEach(System.out::println);
 * }</pre>
 */
public final class Advisor {
    /** Mixes whose steps are predicted. */
    static final List<WeightMix> MIXES =
            List.of(WeightMix.F16, WeightMix.Q8_0, WeightMix.Q4_K_M, WeightMix.Q4_0, WeightMix.W8A8);

    /** Types of cache: F32 is for references. */
    static final List<KvType> CACHES = List.of(KvType.F16, KvType.FP8, KvType.INT8, KvType.INT4);

    private static final int[] SESSIONS = {1, 8, 32};
    private static final int[] CONTEXTS = {128, 1024, 4096, 16_384};
    private static final int[] PROMPTS = {128, 512, 2048};
    /** Positions of a session where sessions are counted, and that a session has where decoding is spoken of. */
    private static final int USUAL_CONTEXT = 4096;

    private static final int USUAL_DEPTH = 1024;
    /** Rows up to which it is asked which weights are quicker. */
    private static final int MOST_ROWS = 4096;

    private final ModelShape shape;
    private final List<WeightPlan> plans = new ArrayList<>();

    /**
     * An advisor about a model.
     *
     * @param shape the model's dimensions
     * @param file the model's file, whose own types are among the choices; null for none, where the dimensions say all
     */
    public Advisor(ModelShape shape, @Nullable Gguf file) {
        this.shape = shape;
        if (file == null) {
            MIXES.forEach(mix -> plans.add(WeightPlan.of(shape, mix)));
        } else {
            plans.add(WeightPlan.of(shape, file));
            MIXES.forEach(mix -> plans.add(WeightPlan.of(shape, file, mix)));
        }
    }

    /** {@return the choices of weights; the file's own, if there is a file, is first} */
    public List<WeightPlan> plans() {
        return List.copyOf(plans);
    }

    /**
     * Measures a device with operations of the model's dimensions, which takes two to three seconds.
     *
     * @param backend a backend's name, or {@code auto}
     * @param options how to open the device; activations are as the choices of weights need them
     * @return the device's profile
     * @throws dev.demitasse.exception.BackendUnavailableException where it cannot be opened
     */
    public DeviceProfile measure(String backend, DeviceOptions options) {
        return DeviceProbe.measure(backend, options, shape, plans);
    }

    /**
     * {@return what the model would do on a device}
     *
     * @param device its profile
     * @throws dev.demitasse.exception.UsageException where the profile lacks a layout that the weights have
     */
    public Advice advise(DeviceProfile device) {
        Roofline roofline = new Roofline(device, shape);
        List<Cell> cells = new ArrayList<>();
        List<Advice.Storage> storage = new ArrayList<>();
        int context = Math.min(USUAL_CONTEXT, shape.contextLength());
        for (WeightPlan plan : plans) {
            for (KvType cache : CACHES) {
                for (int sessions : SESSIONS) {
                    for (int depth : fitting(CONTEXTS)) {
                        cells.add(decode(roofline, plan, cache, sessions, depth));
                    }
                }
                for (int prompt : fitting(PROMPTS)) {
                    cells.add(prefill(roofline, plan, cache, prompt));
                }
            }
            Map<KvType, Long> sessions = new EnumMap<>(KvType.class);
            CACHES.forEach(cache -> sessions.put(cache, roofline.sessions(plan, cache, context)));
            storage.add(new Advice.Storage(plan.name(), roofline.weightBytes(plan), context, sessions));
        }
        List<Advice.BreakEven> breakEvens = breakEvens(roofline);
        return new Advice(
                device,
                shape,
                sentences(roofline, breakEvens, context),
                breakEvens,
                List.copyOf(cells),
                List.copyOf(storage));
    }

    /** The lengths that the model was trained for; its own, where all are longer. */
    private int[] fitting(int[] lengths) {
        int[] shorter = Arrays.stream(lengths)
                .filter(length -> length <= shape.contextLength())
                .toArray();
        return shorter.length > 0 ? shorter : new int[] {shape.contextLength()};
    }

    /** The prediction for a step. */
    static Cell decode(Roofline roofline, WeightPlan plan, KvType cache, int sessions, int depth) {
        Roofline.Time time = roofline.decode(plan, cache, sessions, depth);
        return new Cell(plan.name(), cache, Cell.Phase.DECODE, sessions, depth, time);
    }

    /** The prediction for a prompt. */
    static Cell prefill(Roofline roofline, WeightPlan plan, KvType cache, int tokens) {
        return new Cell(plan.name(), cache, Cell.Phase.PREFILL, 1, tokens, roofline.prefill(plan, cache, tokens));
    }

    private WeightPlan plan(String name) {
        return plans.stream()
                .filter(plan -> plan.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** Where weight-only stops paying, and where eight-bit arithmetic begins to. */
    private List<Advice.BreakEven> breakEvens(Roofline roofline) {
        return Stream.of(WeightMix.F16, WeightMix.W8A8)
                .map(mix -> breakEven(roofline, plan(mix.name()), plan(WeightMix.Q4_0.name())))
                .toList();
    }

    private List<String> sentences(Roofline roofline, List<Advice.BreakEven> breakEvens, int context) {
        WeightPlan float16 = plan(WeightMix.F16.name());
        WeightPlan eight = plan(WeightMix.Q8_0.name());
        WeightPlan four = plan(WeightMix.Q4_0.name());
        int depth = Math.min(USUAL_DEPTH, shape.contextLength());
        Roofline.Time step = roofline.decode(four, KvType.F16, 1, depth);
        double fours = step.seconds();
        List<String> sentences = new ArrayList<>();
        sentences.add(String.format(
                Locale.ROOT,
                "Decoding one session is bound by %s here: Q4_0 should give %.1f times the tokens/s of Q8_0, and %.1f"
                        + " times those of F16.",
                step.bound().name().toLowerCase(Locale.ROOT),
                roofline.decode(eight, KvType.F16, 1, depth).seconds() / fours,
                roofline.decode(float16, KvType.F16, 1, depth).seconds() / fours));
        int stops = breakEvens.getFirst().rows();
        int starts = breakEvens.getLast().rows();
        sentences.add("Q4_0's products "
                + (stops == 0
                        ? "are quicker than F16's at any number of rows"
                        : stops == 1
                                ? "are never quicker than F16's"
                                : "stop being quicker than F16's at " + stops + " rows")
                + "; W8A8's are quicker than Q4_0's "
                + (starts == 0 ? "at none up to " + MOST_ROWS : "from " + starts + " rows on") + ".");
        sentences.add(String.format(
                Locale.ROOT,
                "Beside Q4_0 weights %,d sessions of %,d positions fit with a cache in F16, %,d with INT8.",
                roofline.sessions(four, KvType.F16, context),
                context,
                roofline.sessions(four, KvType.INT8, context)));
        return List.copyOf(sentences);
    }

    private static Advice.BreakEven breakEven(Roofline roofline, WeightPlan plan, WeightPlan other) {
        int first = 0;
        for (int rows = MOST_ROWS; rows >= 1; rows--) {
            if (roofline.products(plan, rows).seconds()
                    >= roofline.products(other, rows).seconds()) {
                break;
            }
            first = rows;
        }
        return new Advice.BreakEven(plan.name(), other.name(), first);
    }
}
