package dev.demitasse.gpu;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.OutputType;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * Products as steps: neighbors whose activations are alike, mostly all, make one; activations that meet integers as
 * integers are quantized before.
 */
final class LinearSteps {
    /** Numbers that kernels load and store at once. */
    private static final int ALIGNED = 4;

    private final ActivationType activations;
    private final StepList steps;

    /** Whether so many rows are quantized before they meet a matrix. */
    interface Quantizes {
        boolean of(GpuWeight weight, int rows);
    }

    LinearSteps(ActivationType activations, StepList steps) {
        this.activations = activations;
        this.steps = steps;
    }

    /** Rows at an address by matrices. */
    void linear(long x, int rows, List<Step.Product> products, Quantizes quantizes) {
        if (rows > 0) {
            ToIntFunction<Step.Product> padded = product -> {
                GpuWeight weight = (GpuWeight) product.weight();
                return quantizes.of(weight, rows) ? weight.paddedColumns() : 0;
            };
            int columns = products.getFirst().weight().columns();
            record(x, rows, columns, products, padded, (integers, some) -> new Step.Linear(x, rows, integers, some));
        }
    }

    /** Rows of groups, whose tiles lie in device memory. */
    void grouped(long x, Step.TileList list, List<Step.GroupedProduct> products) {
        if (list.rows() == 0) {
            return;
        }
        ToIntFunction<Step.GroupedProduct> padded = product -> {
            GpuWeight weight = ((GpuWeightGroup) product.weights()).matrix(0);
            boolean integers =
                    activations.integers() && weight.layout().element().quantized();
            return integers ? weight.paddedColumns() : 0;
        };
        int columns = products.getFirst().weights().columns();
        record(
                x,
                list.places(),
                columns,
                products,
                padded,
                (integers, some) -> new Step.GroupedLinear(x, list, integers, some));
    }

    /**
     * Rows of groups that begin at {@code starts}: few are one launch, whose tiles go into the step's data; of many,
     * each group has launches of its own.
     *
     * @param most rows of a group
     */
    void grouped(
            long x,
            int[] starts,
            int most,
            List<Step.GroupedProduct> products,
            GroupTiles.Sharing sharing,
            Quantizes quantizes) {
        int groups = starts.length - 1;
        int rows = starts[groups];
        GroupTiles tiles = sharing.of(Math.min(rows, groups), groups, most); // those of few rows
        if (rows > (long) tiles.rows() * groups && products.stream().allMatch(LinearSteps::isAligned)) {
            for (int g = 0; g < groups; g++) {
                linearOfGroup(x, g, starts[g], starts[g + 1] - starts[g], products, quantizes);
            }
        } else if (rows > 0) {
            int[] list = tiles.of(starts);
            long at = steps.put(list, list.length);
            int count = list.length / GroupTiles.WORDS;
            grouped(x, new Step.TileList(at, tiles, count, tiles.fewest(rows, most), rows, rows), products);
        }
    }

    /** Whether rows begin where kernels load and store several numbers at once. */
    private static boolean isAligned(Step.GroupedProduct product) {
        return product.weights().rows() % ALIGNED == 0 && product.weights().columns() % ALIGNED == 0;
    }

    private void linearOfGroup(
            long x, int group, int first, int rows, List<Step.GroupedProduct> all, Quantizes quantizes) {
        List<Step.Product> products = new ArrayList<>(all.size());
        for (Step.GroupedProduct each : all) {
            GpuWeightGroup weights = (GpuWeightGroup) each.weights();
            long out = each.out() + (long) first * weights.rows() * Float.BYTES;
            products.add(new Step.Product(weights.matrix(group), weights.bias(group), out, OutputType.F32));
        }
        linear(x + (long) first * all.getFirst().weights().columns() * Float.BYTES, rows, products, quantizes);
    }

    /** The step of some products, whose activations are integers or not. */
    private interface Maker<P> {
        Step of(boolean integers, List<P> products);
    }

    /**
     * Records steps.
     *
     * @param padded columns of integer activations with those that fill a matrix's last tile; 0 for FP32 activations
     */
    private <P> void record(long x, int rows, int columns, List<P> products, ToIntFunction<P> padded, Maker<P> maker) {
        for (int from = 0; from < products.size(); ) {
            int own = padded.applyAsInt(products.get(from));
            int next = from + 1;
            while (next < products.size() && padded.applyAsInt(products.get(next)) == own) {
                next++;
            }
            if (own != 0) {
                steps.add(new Step.Quantize(x, rows, columns, own, activations == ActivationType.INT8_ROW));
            }
            steps.add(maker.of(own != 0, List.copyOf(products.subList(from, next))));
            from = next;
        }
    }
}
