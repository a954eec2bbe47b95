package dev.demitasse.quantize.advise;

import dev.demitasse.Model;
import dev.demitasse.ModelShape;
import dev.demitasse.device.ActivationType;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.quantize.WeightMix;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * How a model's matrices lie on a device.
 *
 * @param name of the weights: a mix, or {@code file}
 * @param mix that a file of such weights is made of; null for a file's own
 * @param activations how products take their input where the weights are integers
 * @param calls the products of a forward pass but the last, and how often each comes
 * @param output the output matrix
 * @param tables matrices of which rows are looked up alone, as the embedding where the output matrix is another
 */
public record WeightPlan(
        String name,
        @Nullable WeightMix mix,
        ActivationType activations,
        Map<Call, Integer> calls,
        Matrix output,
        List<Matrix> tables) {
    /**
     * A matrix.
     *
     * @param outputs rows
     * @param columns inputs
     * @param layout how its elements lie on the device
     */
    public record Matrix(int outputs, int columns, WeightLayout layout) {
        /** {@return the number of elements} */
        public long weights() {
            return (long) outputs * columns;
        }
    }

    /**
     * Matrices that the same rows are multiplied by at once.
     *
     * @param matrices at least one, all with the same number of columns
     * @param experts how many there are of each; 1 but for experts
     * @param used how many of them a row is multiplied by
     */
    public record Call(List<Matrix> matrices, int experts, int used) {
        Call(Matrix... matrices) {
            this(List.of(matrices), 1, 1);
        }

        /**
         * {@return how many of each some rows read, where each row's are as likely as any}
         *
         * @param rows how many rows
         */
        double read(int rows) {
            return experts * (1 - Math.pow(1 - (double) used / experts, rows));
        }
    }

    /**
     * {@return the plan of a model whose file is of a mix, made without an importance matrix}
     *
     * @param shape the model's dimensions
     * @param mix what the file is made of
     * @throws dev.demitasse.exception.UsageException where dimensions do not say all of the model
     */
    public static WeightPlan of(ModelShape shape, WeightMix mix) {
        return of(shape, ModelMatrices.of(shape), mix);
    }

    /**
     * {@return the plan of a file as it is}
     *
     * @param shape the dimensions of the file's model
     * @param file an open GGUF file
     * @throws dev.demitasse.exception.ModelFormatException where a matrix of the model is missing
     */
    public static WeightPlan of(ModelShape shape, Gguf file) {
        return of(shape, file, null);
    }

    /**
     * {@return the plan of what a file would be, quantized to a mix without an importance matrix}
     *
     * @param shape the dimensions of the file's model
     * @param file an open GGUF file
     * @param mix what is made of it; null for the file as it is
     * @throws dev.demitasse.exception.ModelFormatException where a matrix of the model is missing
     */
    public static WeightPlan of(ModelShape shape, Gguf file, @Nullable WeightMix mix) {
        ModelMatrices matrices = ModelMatrices.of(shape, file);
        if (mix != null) {
            return of(shape, matrices, mix);
        }
        boolean rows = file.metadata().has(Model.ACTIVATIONS); // W8A8
        return of(
                shape,
                matrices,
                "file",
                null,
                rows ? ActivationType.INT8_ROW : ActivationType.INT8,
                matrix -> layout(Objects.requireNonNull(matrix.type()), rows));
    }

    private static WeightPlan of(ModelShape shape, ModelMatrices matrices, WeightMix mix) {
        boolean rows = mix == WeightMix.W8A8;
        return of(
                shape,
                matrices,
                mix.name(),
                mix,
                rows ? ActivationType.INT8_ROW : ActivationType.INT8,
                matrix -> layout(type(matrix, mix, shape), rows));
    }

    /** What a mix makes of a matrix. */
    private static TensorType type(ModelMatrices.Named matrix, WeightMix mix, ModelShape shape) {
        TensorType type = mix.typeOf(matrix.name(), matrix.columns(), shape);
        TensorType own = matrix.type();
        return type == TensorType.F32 && own != null ? own : type; // routers stay as they are
    }

    /** How a type lies on a device. */
    private static WeightLayout layout(TensorType type, boolean rows) {
        return rows && type == TensorType.Q8_0 ? WeightLayout.int8(WeightLayout.ROW) : type.layout();
    }

    private static WeightPlan of(
            ModelShape shape,
            ModelMatrices matrices,
            String name,
            @Nullable WeightMix mix,
            ActivationType activations,
            Function<ModelMatrices.Named, WeightLayout> layouts) {
        Function<ModelMatrices.Named, Matrix> matrix =
                named -> new Matrix(named.outputs(), named.columns(), layouts.apply(named));
        ModelShape.Experts experts = shape.experts();
        Map<Call, Integer> calls = new LinkedHashMap<>();
        for (List<ModelMatrices.Named> call : matrices.calls()) {
            int count = call.getFirst().experts();
            int used = count == 1 || experts == null ? count : Math.min(count, experts.used());
            calls.merge(new Call(call.stream().map(matrix).toList(), count, used), 1, Integer::sum);
        }
        return new WeightPlan(
                name,
                mix,
                activations,
                Collections.unmodifiableMap(calls),
                matrix.apply(matrices.output()),
                matrices.tables().stream().map(matrix).toList());
    }

    /** {@return weights of the model} */
    public long weights() {
        return weights(Call::experts)
                + tables.stream().mapToLong(Matrix::weights).sum();
    }

    /** {@return weights in the matrices that a token is multiplied by, the output matrix included} */
    public long multipliedWeights() {
        return weights(Call::used);
    }

    private long weights(ToIntFunction<Call> of) {
        long weights = output.weights();
        for (Map.Entry<Call, Integer> call : calls.entrySet()) {
            long each =
                    call.getKey().matrices.stream().mapToLong(Matrix::weights).sum();
            weights += call.getValue() * each * of.applyAsInt(call.getKey());
        }
        return weights;
    }

    /** {@return the layouts that occur} */
    public Set<WeightLayout> layouts() {
        Set<WeightLayout> layouts = new LinkedHashSet<>();
        calls.keySet().forEach(call -> call.matrices().forEach(matrix -> layouts.add(matrix.layout())));
        layouts.add(output.layout());
        tables.forEach(table -> layouts.add(table.layout()));
        return layouts;
    }
}
