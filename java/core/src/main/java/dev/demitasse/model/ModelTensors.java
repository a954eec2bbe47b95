package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Puts tensors of a file on a device, and remembers which. It owns what it returns. */
final class ModelTensors implements AutoCloseable {
    /** Tensors that {@link dev.demitasse.Model} reads itself. */
    private static final Set<String> ELSEWHERE =
            Set.of("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight");

    /** Elements of a tensor that is no matrix. */
    private static final long MOST_ELEMENTS = 1 << 28;

    private final Gguf file;
    private final Device device;
    private final @Nullable WeightLayout forced;

    private final List<AutoCloseable> owned = new ArrayList<>();
    private final Set<String> used = new HashSet<>(ELSEWHERE);
    private long bytes;
    private final LongConsumer progress;
    private long begun; // bytes of the file's tensors

    /**
     * Nothing is read yet.
     *
     * @param forced a layout for every matrix instead of its type's own (F32: dequantized), or null
     * @param progress hears how many bytes of the file were begun
     */
    ModelTensors(Gguf file, Device device, @Nullable WeightLayout forced, LongConsumer progress) {
        this.file = file;
        this.progress = progress;
        this.device = device;
        this.forced = forced;
    }

    private void use(String name) {
        GgufTensor tensor = file.tensor(name);
        if (used.add(name) && tensor != null) {
            begun += tensor.data().byteSize();
            progress.accept(begun);
        }
    }

    /** Whether the file has a tensor of that name. */
    boolean has(String name) {
        return file.tensor(name) != null;
    }

    /** Names of the file's tensors that nobody has asked for. */
    List<String> unused() {
        return file.tensors().stream()
                .map(GgufTensor::name)
                .filter(name -> !used.contains(name))
                .toList();
    }

    /** Bytes of all matrices on the device. */
    long bytes() {
        return bytes;
    }

    /**
     * Matrices that lie behind each other in one tensor: of experts, or of heads.
     *
     * @param biases the tensor of their biases, where the file has one of that name; null: they have none
     * @param part which of an expert's matrices there
     * @param parts that an expert has there, all of the same shape
     * @param rows of a matrix
     */
    WeightGroup group(String name, @Nullable String biases, int count, int part, int parts, int rows, int columns) {
        GgufTensor tensor = tensor(name);
        check(tensor, (long) count * parts * rows, columns);
        use(name);
        MatrixSource all =
                new MatrixSource(name, tensor.type(), (int) tensor.rows(), (int) tensor.columns(), tensor.data());
        float[] factors = factors(tensor, count);
        List<MatrixSource> sources = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            sources.add(all.rows((e * parts + part) * rows, rows).times(factors[e % factors.length]));
        }
        WeightGroup group = device.uploadGroup(sources, layout(tensor.type()), biases(biases, count, rows));
        owned.add(group);
        bytes += group.bytes();
        if (all.data().isMapped()) {
            all.data().unload(); // its pages are not needed again, and count as this process's memory
        }
        return group;
    }

    /** Biases of a group, which lie behind each other in one tensor; none where the file has no such tensor. */
    private List<float[]> biases(@Nullable String name, int count, int length) {
        if (name == null || !has(name)) {
            return List.of();
        }
        check(tensor(name), count, length);
        float[] values = numbers(name, elements(name));
        List<float[]> biases = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            biases.add(Arrays.copyOfRange(values, e * length, (e + 1) * length));
        }
        return biases;
    }

    /**
     * Numbers that multiply each expert's results; null where the file has no such tensor. Those of NVFP4 are in its
     * matrices already.
     */
    @Nullable
    Buffer scales(String name, int count) {
        return tensor(name).type() == TensorType.NVFP4
                ? null
                : optional(name.replaceFirst("\\.weight$", ".scale"), count);
    }

    /** A norm of heads, each alone, without weights. */
    HeadNorm plainNorm(int headDim) {
        float[] ones = new float[headDim];
        Arrays.fill(ones, 1);
        return new HeadNorm(upload(ones), headDim);
    }

    /** Tensors that the file may have, and that do not matter. */
    void skip(String... names) {
        used.addAll(List.of(names));
    }

    /** Rows that each of {@code count} matrices in a tensor has. */
    int rowsOfEach(String name, int count) {
        GgufTensor tensor = tensor(name);
        if (tensor.rows() % count != 0 || tensor.rows() / count < 1 || tensor.rows() > Integer.MAX_VALUE / 4) {
            throw new ModelFormatException("Tensor \"" + name + "\" has " + tensor.rows()
                    + " rows, which are not those of " + count + " experts.");
        }
        return (int) (tensor.rows() / count);
    }

    /** Rows that others read too, as the residual stream where no norm comes before, cannot be rotated in place. */
    static void requireNotRotated(String name, boolean rotated) {
        if (rotated) {
            throw new UnsupportedModelException("The columns of \"" + RotatedColumns.name(name + ".weight")
                    + "\" are rotated, and what it is multiplied by has other uses; such models are not supported.");
        }
    }

    @Nullable
    HeadNorm headNorm(String name, int headDim, int heads) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            return null;
        }
        int columns = tensor.elements() == headDim ? headDim : Math.multiplyExact(headDim, heads);
        return new HeadNorm(vector(name, columns), columns);
    }

    /**
     * Matrices with the same input.
     *
     * @param biases of each; null for none
     * @param rotated whether the input is to be rotated
     */
    record Parts(LinearWeight[] matrices, @Nullable Buffer[] biases, boolean rotated) {}

    Parts part(String name, int rows, int columns) {
        return parts(new String[] {name}, name, new int[] {rows}, columns);
    }

    /** Matrices with the same input, and biases: each a tensor of its own, or all one tensor's rows in order. */
    Parts parts(String[] names, String fused, int[] rows, int columns) {
        boolean rotated = Stream.of(names[0], fused).anyMatch(name -> file.tensor(tensorName(name, true)) != null);
        LinearWeight[] parts = new LinearWeight[names.length];
        if (file.tensor(tensorName(names[0], rotated)) != null) {
            for (int i = 0; i < names.length; i++) {
                parts[i] = matrix(tensorName(names[i], rotated), rows[i], columns);
            }
            return new Parts(parts, biases(names, null, rows), rotated);
        }
        GgufTensor all = file.tensor(tensorName(fused, rotated));
        if (all == null) {
            throw missing(names[0] + ".weight");
        }
        return new Parts(slices(all, rows, columns), biases(names, fused, rows), rotated);
    }

    /** The matrices that one tensor's rows are, in order. */
    LinearWeight[] slices(String name, int[] rows, int columns) {
        return slices(tensor(name), rows, columns);
    }

    private LinearWeight[] slices(GgufTensor all, int[] rows, int columns) {
        check(all, Arrays.stream(rows).asLongStream().sum(), columns);
        LinearWeight[] slices = new LinearWeight[rows.length];
        int from = 0;
        for (int i = 0; i < rows.length; i++) {
            slices[i] = matrix(all, from, rows[i], factors(all, 1)[0]);
            from += rows[i];
        }
        return slices;
    }

    private static String tensorName(String name, boolean rotated) {
        String plain = name + ".weight";
        return rotated ? RotatedColumns.name(plain) : plain;
    }

    LinearWeight matrix(String name, int rows, int columns) {
        GgufTensor tensor = tensor(name);
        check(tensor, rows, columns);
        return matrix(tensor, 0, rows, factors(tensor, 1)[0]);
    }

    private LinearWeight matrix(GgufTensor tensor, int first, int count, float factor) {
        use(tensor.name());
        MatrixSource all = new MatrixSource(
                tensor.name(), tensor.type(), (int) tensor.rows(), (int) tensor.columns(), tensor.data());
        MatrixSource source = all.rows(first, count).times(factor);
        LinearWeight weight = upload(source);
        if (source.data().isMapped()) {
            source.data().unload(); // its pages are not needed again, and count as this process's memory
        }
        return weight;
    }

    /**
     * What multiplies a matrix of NVFP4, whose scales alone have too small a range: one number a tensor, or one for
     * each of the matrices that lie in it.
     *
     * @return one, or {@code matrices} of them
     */
    private float[] factors(GgufTensor tensor, int matrices) {
        String name = tensor.name().replaceFirst("\\.weight$", ".scale");
        if (tensor.type() != TensorType.NVFP4 || !has(name)) {
            return new float[] {1};
        }
        long count = tensor(name).elements();
        if (count != 1 && count != matrices) {
            throw new ModelFormatException("Tensor \"" + name + "\" has " + count + " factors; \"" + tensor.name()
                    + "\" has " + matrices + " matrices.");
        }
        return numbers(name, (int) count);
    }

    private LinearWeight upload(MatrixSource source) {
        LinearWeight weight = device.upload(source, layout(source.type()));
        owned.add(weight);
        bytes += weight.bytes();
        return weight;
    }

    /** The values of a tensor of {@code rows} rows, column after column. */
    Buffer transposed(String name, int rows, int columns) {
        check(tensor(name), rows, columns);
        float[] values = numbers(name, elements(name));
        float[] turned = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            turned[i % columns * rows + i / columns] = values[i];
        }
        return upload(turned);
    }

    private int elements(String name) {
        long elements = tensor(name).elements();
        if (elements > MOST_ELEMENTS) {
            throw new UnsupportedModelException(
                    "Tensor \"" + name + "\" has " + elements + " elements, more than such tensors may have here.");
        }
        return (int) elements;
    }

    /** The values of a one-dimensional tensor, on the host; none where the file has no such tensor. */
    float[] numbers(String name, int length) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            return new float[0];
        }
        use(name);
        return values(file, tensor, length);
    }

    /**
     * One of two matrices whose rows lie in a tensor by turns, a run of the one and a run of the other.
     *
     * @param count runs of each
     * @param runs rows of a run of each
     * @param which 0 or 1
     */
    LinearWeight ofTwo(String name, int count, int columns, int[] runs, int which) {
        GgufTensor tensor = tensor(name);
        long turn = runs[0] + runs[1];
        check(tensor, count * turn, columns);
        use(name);
        long rowBytes = tensor.type().rowBytes(columns);
        long bytes = runs[which] * rowBytes;
        try (HostMemory copy = HostMemory.allocate(bytes * count)) {
            for (long i = 0; i < count; i++) {
                long from = (i * turn + (which == 0 ? 0 : runs[0])) * rowBytes;
                MemorySegment.copy(tensor.data(), from, copy.segment(), i * bytes, bytes);
            }
            MatrixSource source = new MatrixSource(name, tensor.type(), count * runs[which], columns, copy.segment());
            LinearWeight weight = upload(source.times(factors(tensor, 1)[0]));
            if (which == 1 && tensor.data().isMapped()) {
                tensor.data().unload(); // both are there now
            }
            return weight;
        }
    }

    private WeightLayout layout(TensorType type) {
        return Weights.layout(file, device, forced, type);
    }

    @Nullable
    Buffer optional(String name, int length) {
        return file.tensor(name) == null ? null : vector(name, length);
    }

    Buffer vector(String name, int length) {
        return vector(name, length, 1);
    }

    Buffer vector(String name, int length, float factor) {
        use(name);
        float[] values = values(file, tensor(name), length);
        for (int i = 0; factor != 1 && i < length; i++) {
            values[i] *= factor;
        }
        return upload(values);
    }

    /** A norm, with a bias where {@code biased} and the file has one; null where the file has no such norm. */
    @Nullable
    Norm norm(String name, int length, boolean biased) {
        return has(name + ".weight") ? requiredNorm(name, length, biased, 1) : null;
    }

    /** The same, which must be there; its results are multiplied by {@code factor}. */
    Norm requiredNorm(String name, int length, boolean biased, float factor) {
        String bias = name + ".bias";
        return new Norm(
                vector(name + ".weight", length, factor), biased && has(bias) ? vector(bias, length, factor) : null);
    }

    /** Biases of matrices, each a tensor of its own or, of fused ones, all of them one tensor's elements in order. */
    private @Nullable Buffer[] biases(String[] names, @Nullable String fused, int[] lengths) {
        @Nullable Buffer[] biases = new Buffer[names.length];
        float[] all = fused == null
                ? new float[0]
                : numbers(fused + ".bias", Arrays.stream(lengths).sum());
        int from = 0;
        for (int i = 0; i < names.length; i++) {
            biases[i] = all.length == 0
                    ? optional(names[i] + ".bias", lengths[i])
                    : upload(Arrays.copyOfRange(all, from, from + lengths[i]));
            from += lengths[i];
        }
        return biases;
    }

    /** The values of one-dimensional tensors of {@code length} elements each, behind each other. */
    Buffer vectors(int length, String... names) {
        float[] all = new float[length * names.length];
        for (int i = 0; i < names.length; i++) {
            use(names[i]);
            System.arraycopy(values(file, tensor(names[i]), length), 0, all, i * length, length);
        }
        return upload(all);
    }

    private Buffer upload(float[] values) {
        Buffer buffer = device.upload(values);
        owned.add(buffer);
        return buffer;
    }

    /** The values of a one-dimensional tensor of {@code length} elements. */
    static float[] values(Gguf file, GgufTensor tensor, int length) {
        if (tensor.elements() != length) {
            throw new ModelFormatException("Tensor \"" + tensor.name() + "\" has " + tensor.elements()
                    + " elements; the hyperparameters ask for " + length + ".");
        }
        float[] values = new float[length];
        new MatrixSource(tensor.name(), tensor.type(), 1, length, tensor.data()).dequantizeRow(0, values);
        for (float value : values) {
            if (!Float.isFinite(value)) {
                throw new ModelFormatException(
                        "Tensor \"" + tensor.name() + "\" has a value that is NaN or infinite; the file is damaged.");
            }
        }
        return values;
    }

    GgufTensor tensor(String name) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            throw missing(name);
        }
        return tensor;
    }

    static ModelFormatException missing(String name) {
        return new ModelFormatException("Tensor \"" + name + "\" is missing; the file is not a complete model.");
    }

    static void check(GgufTensor tensor, long rows, int columns) {
        if (tensor.rows() != rows || tensor.columns() != columns) {
            throw new ModelFormatException("Tensor \"" + tensor.name() + "\" is " + tensor.rows() + " × "
                    + tensor.columns() + "; the hyperparameters ask for " + rows + " × " + columns + ".");
        }
    }

    @Override
    public void close() {
        for (AutoCloseable closeable : owned) {
            try {
                closeable.close();
            } catch (RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        owned.clear();
    }
}
