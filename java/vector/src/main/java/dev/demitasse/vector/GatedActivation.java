package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.device.Gate;
import jdk.incubator.vector.FloatVector;

/**
 * Computes: {@code out = gate(g) * up}; SiLU: {@code g sigmoid(g)}; GELU (tanh approximation): {@code g sigmoid(2 u)}
 * with {@code u = sqrt(2 / pi) (g + 0.044715 g^3)}, since {@code (1 + tanh u) / 2 = sigmoid(2 u)};
 * {@code sigmoid(g)}; g itself; or
 * {@code m sigmoid(1.702 m) (clamp(up, -7, 7) + 1)} with {@code m = min(g, 7)}.
 *
 * <p>Layout: FP32; {@code out} may be either input.
 *
 * <p>Requires: nothing. The last elements go through a vector that is filled with zeros, so all get the same function.
 *
 * <p>Accuracy: that of {@link Exp}.
 *
 * <p>Launch: one task a block of elements.
 *
 * <p>Moves: 12 bytes an element; about 20 operations a vector.
 *
 * <p>Why: one exponential instead of a tanh.
 */
final class GatedActivation {
    private static final float TWICE_SQRT_2_OVER_PI = 1.5957691216f;
    private static final float LIMIT = 7;
    private static final float SWISH = 1.702f;

    private GatedActivation() {}

    static void block(Gate gate, long g, long up, long from, long to, long out) {
        long i = from;
        for (; i + WIDTH <= to; i += WIDTH) {
            store(apply(gate, floats(g + i * 4), floats(up + i * 4)), out + i * 4);
        }
        for (; i < to; i++) {
            Lanes.set(
                    out + i * 4,
                    apply(gate, Lanes.spread(g + i * 4), Lanes.spread(up + i * 4))
                            .lane(0));
        }
    }

    private static FloatVector normal(FloatVector x) {
        return Exp.sigmoid(x.mul(x).mul(0.044715f).add(1f).mul(x).mul(TWICE_SQRT_2_OVER_PI));
    }

    private static FloatVector apply(Gate gate, FloatVector g, FloatVector up) {
        return switch (gate) {
            case SILU -> g.mul(Exp.sigmoid(g)).mul(up);
            case GELU -> g.mul(normal(g)).mul(up);
            case NORMAL_CDF -> normal(g).mul(up);
            case SIGMOID -> Exp.sigmoid(g).mul(up);
            case IDENTITY -> g.mul(up);
            case RELU -> g.max(0f).mul(up); // NaN stays NaN
            case CLAMPED_SWISH -> {
                FloatVector most = g.min(LIMIT); // NaN stays NaN
                yield most.mul(Exp.sigmoid(most.mul(SWISH)))
                        .mul(up.min(LIMIT).max(-LIMIT).add(1f));
            }
        };
    }
}
