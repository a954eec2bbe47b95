package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Devices and models that are not here: cards from their data sheets, with the shares of their peaks that Demitasse's
 * kernels reach on an H100, and the dimensions of well-known models.
 */
public final class Published {
    private static final double GIGA = 1e9;
    private static final double TERA = 1e12;
    /** Of the data sheet's bandwidth: what kernels read on an H100. */
    private static final double READ = 0.93;
    /** What a kernel of a graph costs on an H100. */
    private static final double LAUNCH_SECONDS = 2.8e-6;
    /** Kernels of a layer beside its four products and attention. */
    private static final int REST_LAUNCHES = 4;
    /** What the host adds to a step. */
    private static final double STEP_SECONDS = 150e-6;
    /** Greedy sampling of 128,256 logits: 24 µs, however many sessions. */
    private static final double SAMPLE_SECONDS = 24e-6 / 128_256;
    /** Operations for an element of a head and a position: two products of a multiplication and an addition. */
    private static final double ATTENTION_OPERATIONS = 4;
    /** Operations for an element of a state and a row: it decays, is read twice and added to. */
    private static final double STATE_OPERATIONS = 7;
    /** The share of the FP16 peak that attention over a prompt reaches. */
    private static final double PROMPT_SHARE = 0.25;
    /** The share of the FP32 peak that decode attention reaches with 32 sessions of 8,192 positions. */
    private static final double DECODE_SHARE = 0.29;
    /** Bytes of a scale on a GPU. */
    private static final double SCALE_BYTES = 2;

    private static final int GROUP = 32;

    private Published() {}

    /** {@return the cards' names} */
    public static List<String> devices() {
        return Table.read("cards.tsv").stream().map(row -> row[0]).toList();
    }

    /**
     * {@return a card's profile}
     *
     * @param name one of {@link #devices}, in any case
     * @throws UsageException where there is none of that name
     */
    public static DeviceProfile device(String name) {
        String[] card = row("cards.tsv", name);
        if (card == null) {
            throw new UsageException(
                    "There is no device profile \"" + name + "\"; there are " + String.join(", ", devices()) + ".");
        }
        double bandwidth = Double.parseDouble(card[1]) * GIGA * READ;
        DeviceProfile.Peaks peaks = new DeviceProfile.Peaks(
                Double.parseDouble(card[2]) * TERA,
                Double.parseDouble(card[3]) * TERA,
                Double.parseDouble(card[4]) * TERA);
        double perElement = 2 * Float.BYTES / bandwidth;
        double stateElement = STATE_OPERATIONS / (DECODE_SHARE * peaks.fp32());
        DeviceProfile.RestCost storing = new DeviceProfile.RestCost(0, perElement, perElement); // with the others
        Map<KvType, DeviceProfile.AttentionCost> attention = new EnumMap<>(KvType.class);
        Curve decode = new Curve(new double[] {1}, new double[] {ATTENTION_OPERATIONS / (DECODE_SHARE * peaks.fp32())});
        for (KvType type : KvType.values()) {
            attention.put(
                    type,
                    new DeviceProfile.AttentionCost(
                            decode, ATTENTION_OPERATIONS / (PROMPT_SHARE * peaks.fp16()), storing));
        }
        return new DeviceProfile(
                name,
                card[6] + "; efficiencies of an H100",
                Curve.line(0, 1 / bandwidth),
                peaks,
                LAUNCH_SECONDS,
                STEP_SECONDS,
                (long) (Double.parseDouble(card[5]) * GIGA),
                linear(peaks),
                attention,
                new DeviceProfile.RestCost(REST_LAUNCHES * LAUNCH_SECONDS, perElement, perElement),
                new DeviceProfile.RestCost(REST_LAUNCHES * LAUNCH_SECONDS, stateElement, stateElement),
                SAMPLE_SECONDS);
    }

    private static Map<WeightLayout, DeviceProfile.LinearCost> linear(DeviceProfile.Peaks peaks) {
        Map<WeightLayout, DeviceProfile.LinearCost> linear = new LinkedHashMap<>();
        Curve float16 = curve("F16", peaks.fp16());
        linear.put(WeightLayout.F16, new DeviceProfile.LinearCost(2, float16));
        linear.put(WeightLayout.BF16, new DeviceProfile.LinearCost(2, float16));
        linear.put(
                WeightLayout.F32,
                new DeviceProfile.LinearCost(Float.BYTES, float16.times(peaks.fp16() / peaks.fp32())));
        linear.put(WeightLayout.int8(WeightLayout.ROW), new DeviceProfile.LinearCost(1, curve("W8A8", peaks.int8())));
        for (WeightLayout.Element element : List.of(WeightLayout.Element.INT4, WeightLayout.Element.INT8)) {
            Curve curve = curve(element.name(), peaks.fp16());
            for (int group : new int[] {GROUP / 2, GROUP}) {
                WeightLayout layout = new WeightLayout(element, group, false);
                double bytes = element.bits() / 8.0 + SCALE_BYTES / group;
                linear.put(layout, new DeviceProfile.LinearCost(bytes, curve));
                linear.put(layout.withMinimum(), new DeviceProfile.LinearCost(bytes + SCALE_BYTES / group, curve));
            }
        }
        return linear;
    }

    private static Curve curve(String kind, double peak) {
        List<String[]> rows = Table.read("shares.tsv").stream()
                .filter(row -> row[0].equals(kind))
                .toList();
        double[] counts =
                rows.stream().mapToDouble(row -> Double.parseDouble(row[1])).toArray();
        double[] seconds = rows.stream()
                .mapToDouble(row -> 2 * Double.parseDouble(row[1]) / (Double.parseDouble(row[2]) * peak))
                .toArray();
        return new Curve(counts, seconds);
    }

    /** {@return the models' names} */
    public static List<String> models() {
        return Table.read("shapes.tsv").stream().map(row -> row[0]).toList();
    }

    /**
     * {@return a model's dimensions, or null where there is none of that name}
     *
     * @param name one of {@link #models}, in any case
     */
    public static @Nullable ModelShape model(String name) {
        String[] row = row("shapes.tsv", name);
        if (row == null) {
            return null;
        }
        return ModelShape.uniform(
                row[0],
                Integer.parseInt(row[1]),
                Integer.parseInt(row[2]),
                Integer.parseInt(row[3]),
                Integer.parseInt(row[4]),
                Integer.parseInt(row[5]),
                Integer.parseInt(row[6]),
                Integer.parseInt(row[7]),
                Boolean.parseBoolean(row[8]),
                Integer.parseInt(row[9]),
                Integer.parseInt(row[10]),
                Integer.parseInt(row[11]),
                Integer.parseInt(row[12]) == 0 ? null : experts(row));
    }

    private static ModelShape.Experts experts(String[] row) {
        int[] of = Arrays.stream(row, 12, 17).mapToInt(Integer::parseInt).toArray();
        return new ModelShape.Experts(of[0], of[1], of[2], of[3], of[4]);
    }

    private static String @Nullable [] row(String resource, String name) {
        return Table.read(resource).stream()
                .filter(row -> row[0].equalsIgnoreCase(name))
                .findFirst()
                .orElse(null);
    }
}
