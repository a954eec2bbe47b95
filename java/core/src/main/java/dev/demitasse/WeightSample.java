package dev.demitasse;

import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What weights take on a device, told by uploading some rows of one matrix of each type: devices store a type as their
 * kernels read it, and some of them narrower where its numbers allow that.
 */
final class WeightSample {
    /** Rows that are uploaded: a whole number of every device's tiles. */
    private static final int ROWS = 256;

    private static final long MOST_COLUMNS = 1 << 20;

    private final Gguf file;
    private final Device device;
    private final @Nullable WeightLayout forced;

    /**
     * Of an open file.
     *
     * @param forced a layout for every matrix instead of its type's own, or null
     */
    WeightSample(Gguf file, Device device, @Nullable WeightLayout forced) {
        this.file = file;
        this.device = device;
        this.forced = forced;
    }

    /** Bytes of the weights on the device, about, with the blocks that are not run but for the one that drafts. */
    long bytes(ModelConfig config, boolean drafts) {
        List<GgufTensor> run = file.tensors().stream()
                .filter(tensor -> !config.isOfSkippedBlock(tensor.name())
                        || drafts && tensor.name().startsWith(Weights.draftNames(config)))
                .toList();
        Map<TensorType, GgufTensor> largest = new EnumMap<>(TensorType.class); // of which padding is the least part
        for (GgufTensor tensor : run) {
            if (tensor.dimensions().length > 1) {
                largest.merge(tensor.type(), tensor, (a, b) -> b.elements() > a.elements() ? b : a);
            }
        }
        Map<TensorType, Double> bytesPerElement = new EnumMap<>(TensorType.class);
        largest.forEach((type, tensor) -> bytesPerElement.put(type, sample(tensor)));
        return Math.round(run.stream()
                .mapToDouble(tensor -> tensor.elements()
                        * (tensor.dimensions().length == 1
                                ? Float.BYTES
                                : bytesPerElement.getOrDefault(tensor.type(), 0.0)))
                .sum());
    }

    private double sample(GgufTensor tensor) {
        TensorType type = tensor.type();
        double inFile = (double) tensor.data().byteSize() / tensor.elements();
        if (tensor.columns() > MOST_COLUMNS || tensor.rows() > Integer.MAX_VALUE) {
            return inFile; // the load says what is wrong with it
        }
        MatrixSource whole =
                new MatrixSource(tensor.name(), type, (int) tensor.rows(), (int) tensor.columns(), tensor.data());
        MatrixSource some = whole.rows(0, Math.min(ROWS, whole.rows())).times(factor(tensor));
        try (LinearWeight weight = device.upload(some, Weights.layout(file, device, forced, type))) {
            return (double) weight.bytes() / some.rows() / some.columns();
        } catch (ModelFormatException | UsageException e) {
            return inFile; // the load says what is wrong with it, or leaves the block out that it is of
        }
    }

    /** What NVFP4's numbers are multiplied by beside their blocks' scales: it may make those need more bits. */
    private float factor(GgufTensor tensor) {
        GgufTensor factors = file.tensor(tensor.name().replaceFirst("\\.weight$", ".scale"));
        if (tensor.type() != TensorType.NVFP4 || factors == null || factors.elements() < 1) {
            return 1;
        }
        float[] all = new float[(int) Math.min(factors.elements(), MOST_COLUMNS)];
        new MatrixSource(factors.name(), factors.type(), 1, all.length, factors.data()).dequantizeRow(0, all);
        return all[0];
    }
}
