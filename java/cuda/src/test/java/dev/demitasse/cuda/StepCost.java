package dev.demitasse.cuda;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Routing;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.gpu.Step;
import dev.demitasse.kv.KvShape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What steps must move and compute at least, whatever kernel does it: every operand read once, every result written
 * once, and the operations of products and of attention.
 */
final class StepCost {
    /** Bytes, and multiplications and additions. */
    record Cost(long bytes, long operations) {}

    private static final int FLOAT = Float.BYTES;
    private static final long FP16 = Short.BYTES;

    private final long positions; // that rows attend to, all together
    private final long cached; // positions of the cache that are read

    /** Of steps of a batch, which is rows of one sequence, or each of another. */
    StepCost(BatchRows rows, boolean oneSequence) {
        long all = 0;
        long last = 0;
        for (int row = 0; row < rows.count(); row++) {
            last = rows.positions()[row] + 1L;
            all += last;
        }
        this.positions = all;
        this.cached = oneSequence ? last : all;
    }

    /**
     * What a step's launches cost: of products each its own where it has a launch, else the first one all. What follows
     * reads what was written just before.
     */
    List<Cost> of(Step step, List<Launch> launches) {
        List<Cost> costs = new ArrayList<>(Collections.nCopies(launches.size(), new Cost(0, 0)));
        if (step instanceof Step.Linear s && launches.stream().anyMatch(launch -> is(launch, "gemm_f16_wgmma"))) {
            return throughFp16(s, launches);
        }
        if (step instanceof Step.Linear s && s.products().size() > 1) {
            List<Integer> multiplying = IntStream.range(0, launches.size())
                    .filter(i -> !is(launches.get(i), "linear_finish"))
                    .boxed()
                    .toList();
            if (multiplying.size() == s.products().size()) {
                for (int i = 0; i < multiplying.size(); i++) {
                    costs.set(multiplying.get(i), product(s, s.products().get(i)));
                }
                return costs;
            }
        }
        costs.set(0, of(step));
        return costs;
    }

    private static boolean is(Launch launch, String kernel) {
        return launch instanceof Launch.Kernel k && k.kernel().equals(kernel);
    }

    /** Products whose operands are converted to FP16, which is written and read again. */
    private static List<Cost> throughFp16(Step.Linear step, List<Launch> launches) {
        long rows = step.rows();
        List<Cost> costs = new ArrayList<>();
        Iterator<Step.Product> products = step.products().iterator();
        Step.Product product = products.next();
        for (Launch launch : launches) {
            LinearWeight weight = product.weight();
            long elements = (long) weight.rows() * weight.columns();
            if (is(launch, "fp16_rows")) {
                costs.add(new Cost((FLOAT + FP16) * rows * weight.columns(), 0));
            } else if (is(launch, "dequantize_weights")) {
                costs.add(new Cost(weight.bytes() + FP16 * elements, 0));
            } else {
                long operands = FP16 * (elements + rows * weight.columns());
                long results = rows * weight.rows() * product.type().bytes();
                costs.add(new Cost(operands + results, 2 * rows * elements));
                product = products.hasNext() ? products.next() : product;
            }
        }
        return costs;
    }

    private Cost of(Step step) {
        return switch (step) {
            case Step.Embed s ->
                new Cost(s.rows() * (row(s.table()) + (long) FLOAT * s.table().columns()), 0);
            case Step.GatherRows s -> new Cost(2L * FLOAT * s.rows() * s.columns(), 0);
            case Step.Add s -> new Cost(3L * FLOAT * s.count(), 0);
            case Step.Scale s -> new Cost(2L * FLOAT * s.count(), 0);
            case Step.LayerNorm s -> new Cost(2L * FLOAT * s.rows() * s.columns(), 0);
            case Step.SoftCap s -> new Cost(2L * FLOAT * s.count(), 0);
            case Step.QuantizeRows s -> new Cost((FLOAT + 1L) * s.rows() * s.columns(), 0);
            case Step.Quantize s -> new Cost((FLOAT + 1L) * s.rows() * s.columns(), 0);
            case Step.RmsNorm s -> new Cost((s.addend() == 0 ? 2L : 4L) * FLOAT * s.rows() * s.columns(), 0);
            case Step.GatedActivation s -> new Cost(3L * FLOAT * s.count(), 0);
            case Step.Linear s -> linear(s);
            case Step.GroupedLinear s -> grouped(s);
            case Step.Route s -> {
                Routing routing = s.choice().routing();
                long rows = s.choice().rows();
                yield new Cost(FLOAT * rows * (routing.experts() + 2L * routing.used()), 0);
            }
            case Step.Dispatch s -> new Cost(2L * FLOAT * s.choice().list().rows() * s.columns(), 0);
            case Step.Combine s ->
                new Cost(
                        FLOAT
                                * ((long) s.choice().list().rows()
                                        + (s.addend() == 0 ? 1L : s.logits() == 0 ? 2L : 3L)
                                                * s.choice().rows())
                                * s.columns(),
                        2L * s.choice().list().rows() * s.columns());
            case Step.GateRows s -> new Cost(2L * FLOAT * s.rows() * s.columns(), 0);
            case Step.Rope s -> new Cost(2L * FLOAT * s.rows() * s.heads() * s.headDim(), 0);
            case Step.Rotate s -> new Cost(2L * FLOAT * s.rows() * s.heads() * s.headDim(), 0);
            case Step.KvAppend s -> {
                KvShape shape = s.store().shape();
                long elements = 2L * s.rows().count() * shape.kvHeads() * shape.headDim();
                yield new Cost(FLOAT * elements + shape.type().bytes(elements), 0);
            }
            case Step.Attention s -> attention(s);
            case Step.Convolve s -> {
                long elements = (long) s.rows().count() * s.channels();
                yield new Cost(
                        FLOAT * (2 * elements + (3L * s.kernel() - 2) * s.channels()), 2 * s.kernel() * elements);
            }
            case Step.DeltaRule s -> {
                long rows = s.rows().count();
                long numbers = rows * (s.shape().columns() + s.shape().values());
                yield new Cost(
                        FLOAT * (numbers + 2 * s.shape().stateElements()),
                        8 * rows * s.shape().stateElements());
            }
            case Step.SelectiveScan s -> {
                long rows = s.rows().count();
                long numbers = rows * (s.shape().columns() + s.shape().values());
                yield new Cost(
                        FLOAT * (numbers + 2 * s.shape().stateElements()),
                        4 * rows * s.shape().stateElements());
            }
            case Step.Sample s -> new Cost((long) FLOAT * s.rows() * s.columns(), 0);
            case Step.Copy s -> new Cost(2L * s.bytes(), 0);
        };
    }

    /** Bytes of a row of weights. */
    private static long row(LinearWeight weight) {
        return weight.bytes() / weight.rows();
    }

    private static Cost linear(Step.Linear step) {
        long bytes = 0;
        long operations = 0;
        for (Step.Product product : step.products()) {
            Cost cost = product(step, product);
            bytes += cost.bytes;
            operations += cost.operations;
        }
        return new Cost(bytes, operations);
    }

    private static Cost product(Step.Linear step, Step.Product product) {
        LinearWeight weight = product.weight();
        long rows = step.rows();
        return new Cost(
                weight.bytes()
                        + rows * weight.columns() * (step.integers() ? 1 : FLOAT)
                        + rows * weight.rows() * product.type().bytes(),
                2 * rows * weight.rows() * weight.columns());
    }

    /** Rows meet as many matrices as there are, or one each. */
    private static Cost grouped(Step.GroupedLinear step) {
        long bytes = 0;
        long operations = 0;
        long rows = step.list().rows();
        for (Step.GroupedProduct product : step.products()) {
            WeightGroup weights = product.weights();
            long met = Math.min(rows, weights.groups());
            long inputs = rows * weights.columns() * (step.integers() ? 1 : FLOAT);
            bytes += weights.bytes() / weights.groups() * met + inputs + rows * weights.rows() * FLOAT;
            operations += 2 * rows * weights.rows() * weights.columns();
        }
        return new Cost(bytes, operations);
    }

    private Cost attention(Step.Attention step) {
        AttentionShape shape = step.shape();
        KvShape cache = step.store().shape();
        long width = (long) shape.heads() * shape.headDim();
        long vector = cache.type().bytes((long) cache.kvHeads() * cache.headDim())
                + (cache.type().scaled() ? (long) cache.kvHeads() * cache.scaleGroups() * FLOAT : 0);
        return new Cost(2 * cached * vector + 2L * FLOAT * step.rows().count() * width, 4 * positions * width);
    }
}
