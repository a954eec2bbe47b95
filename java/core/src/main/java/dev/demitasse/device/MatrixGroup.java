package dev.demitasse.device;

import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A group of which each matrix lies for itself: what devices have whose operations the host itself carries out. */
public final class MatrixGroup implements WeightGroup {
    private final List<LinearWeight> weights;
    private final List<Buffer> biases;

    private MatrixGroup(List<LinearWeight> weights, List<Buffer> biases) {
        this.weights = List.copyOf(weights);
        this.biases = List.copyOf(biases);
    }

    /** Puts matrices on a device ({@link Device#uploadGroup}). */
    static MatrixGroup upload(Device device, List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        List<LinearWeight> weights = new ArrayList<>();
        List<Buffer> own = new ArrayList<>();
        try {
            for (MatrixSource source : sources) {
                weights.add(device.upload(source, layout));
            }
            for (float[] bias : biases) {
                own.add(device.upload(bias));
            }
        } catch (RuntimeException | Error e) {
            weights.forEach(LinearWeight::close);
            own.forEach(Buffer::close);
            throw e;
        }
        return new MatrixGroup(weights, own);
    }

    /**
     * {@return the projections of one group by itself; its rows lie in the buffers of all}
     *
     * @param group which one, from 0
     * @param of projections of all groups, whose weights are {@link MatrixGroup}
     */
    public static Projection[] projections(int group, GroupedProjection... of) {
        Projection[] own = new Projection[of.length];
        for (int i = 0; i < own.length; i++) {
            MatrixGroup matrices = (MatrixGroup) of[i].weights();
            own[i] = new Projection(matrices.weights.get(group), matrices.bias(group), of[i].out());
        }
        return own;
    }

    private @Nullable Buffer bias(int group) {
        return biases.isEmpty() ? null : biases.get(group);
    }

    @Override
    public int groups() {
        return weights.size();
    }

    @Override
    public int rows() {
        return weights.getFirst().rows();
    }

    @Override
    public int columns() {
        return weights.getFirst().columns();
    }

    @Override
    public WeightLayout layout() {
        return weights.getFirst().layout();
    }

    @Override
    public long bytes() {
        return weights.stream().mapToLong(LinearWeight::bytes).sum();
    }

    @Override
    public void close() {
        weights.forEach(LinearWeight::close);
        biases.forEach(Buffer::close);
    }
}
