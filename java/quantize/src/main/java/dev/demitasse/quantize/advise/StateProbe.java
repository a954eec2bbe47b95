package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import java.util.Arrays;

/** Times what makes a layer's next state, and its results: the convolution, the rule, gates and norms. */
final class StateProbe {
    private static final float EPSILON = 1e-6f;

    private final Device device;
    private final ModelShape.States states;
    private final Resources resources;

    StateProbe(Device device, ModelShape.States states, Resources resources) {
        this.device = device;
        this.states = states;
        this.resources = resources;
    }

    private Buffer random(long count) {
        return resources.own(device.upload(LinearProbe.numbers(Math.toIntExact(count))), Buffer::close);
    }

    private Buffer filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return resources.own(device.upload(values), Buffer::close);
    }

    /** Room for the states of a batch's sequences. */
    private Buffer states(BatchRows batch, long elements) {
        long sequences = 1L
                + Arrays.stream(batch.pages()).mapToInt(table -> table[0]).max().orElseThrow();
        return resources.own(device.allocate(sequences * elements * Float.BYTES), Buffer::close);
    }

    /** A layer with these rows; each sequence's first page is the number of its state. */
    Stopwatch.Timing time(BatchRows batch, Stopwatch stopwatch) {
        int rows = batch.count();
        int channels = states.channels();
        int kernel = states.kernel();
        boolean silu = states.rule() != ModelShape.StateRule.CONVOLUTION;
        Buffer mixed = random((long) rows * channels);
        Buffer weight = random((long) kernel * channels);
        Buffer tails = states(batch, (kernel - 1L) * channels);
        Buffer convolved = random((long) rows * channels);
        Runnable rule = rule(batch, convolved);
        return stopwatch.add(convolved, () -> {
            device.convolve(mixed, weight, null, channels, kernel, silu, tails, batch, convolved);
            rule.run();
        });
    }

    private Runnable rule(BatchRows batch, Buffer convolved) {
        int rows = batch.count();
        if (states.rule() == ModelShape.StateRule.CONVOLUTION) {
            long elements = (long) rows * states.channels();
            Buffer gate = random(elements);
            return () -> {
                device.gatedActivation(Gate.IDENTITY, gate, convolved, elements, convolved);
                device.gatedActivation(Gate.IDENTITY, gate, convolved, elements, convolved);
            };
        }
        int heads = states.heads();
        int values = heads * states.headDim();
        long results = (long) rows * values;
        Buffer alpha = random((long) rows * heads);
        Buffer bias = filled(heads, 0);
        Buffer rate = filled(heads, -1); // states decay, and keep their size
        Buffer state = states(batch, (long) values * states.stateDim());
        Buffer gate = random(results);
        Buffer out = random(results);
        if (states.rule() == ModelShape.StateRule.DELTA) {
            Buffer beta = random((long) rows * heads);
            Buffer norm = filled(states.headDim(), 1);
            DeltaShape delta = new DeltaShape(states.keyHeads(), heads, states.headDim(), true, EPSILON);
            return () -> {
                device.deltaRule(convolved, beta, alpha, bias, rate, delta, state, batch, out);
                device.rmsNorm(out, norm, rows * heads, states.headDim(), EPSILON, out);
                device.gatedActivation(Gate.SILU, gate, out, results, out);
            };
        }
        int groups = states.keyHeads();
        Buffer norm = filled(values, 1);
        ScanWeights weights = new ScanWeights(bias, rate, filled(heads, 1));
        ScanShape scan = new ScanShape(groups, heads, states.headDim(), states.stateDim());
        return () -> {
            device.selectiveScan(convolved, alpha, weights, scan, state, batch, out);
            device.gatedActivation(Gate.SILU, gate, out, results, out);
            device.rmsNorm(out, norm, groups, rows * groups, values / groups, EPSILON, out);
        };
    }
}
