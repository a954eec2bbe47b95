package dev.demitasse.quantize.advise;

import dev.demitasse.Model;
import dev.demitasse.ModelShape;
import dev.demitasse.device.ActivationType;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.quantize.WeightMix;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * How a model's matrices lie on a device.
 *
 * @param name of the weights: a mix, or {@code file}
 * @param mix that a file of such weights is made of; null for a file's own
 * @param activations how products take their input where the weights are integers
 * @param calls the products of a forward pass but the last, and how often each comes
 * @param output the output matrix
 * @param embedding rows of it are looked up; the output matrix itself where the model has only one
 */
public record WeightPlan(
        String name,
        @Nullable WeightMix mix,
        ActivationType activations,
        Map<Call, Integer> calls,
        Matrix output,
        Matrix embedding) {
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

    /** The layout of a matrix by its name in GGUF files and its columns. */
    @FunctionalInterface
    private interface Layouts {
        WeightLayout of(String name, int columns);
    }

    /**
     * {@return the plan of a model whose file is of a mix, made without an importance matrix}
     *
     * @param shape the model's dimensions
     * @param mix what the file is made of
     */
    public static WeightPlan of(ModelShape shape, WeightMix mix) {
        if (mix == WeightMix.W8A8) {
            return ofRows(shape);
        }
        Layouts layouts = (name, columns) -> mix.typeOf(name, columns, shape).layout();
        return of(shape, mix.name(), mix, ActivationType.INT8, layouts);
    }

    /** The plan of INT8 weights and activations, both with one scale a row. */
    private static WeightPlan ofRows(ModelShape shape) {
        Layouts layouts = (name, columns) -> rows(WeightMix.W8A8.typeOf(name, columns, shape));
        return of(shape, WeightMix.W8A8.name(), WeightMix.W8A8, ActivationType.INT8_ROW, layouts);
    }

    /** How a type of a W8A8 file lies on a device. */
    private static WeightLayout rows(TensorType type) {
        return type == TensorType.Q8_0 ? WeightLayout.int8(WeightLayout.ROW) : type.layout();
    }

    /**
     * {@return the plan of a file as it is}
     *
     * @param shape the dimensions of the file's model
     * @param file an open GGUF file
     * @throws ModelFormatException where a matrix of the model is missing
     */
    public static WeightPlan of(ModelShape shape, Gguf file) {
        boolean rows = file.metadata().has(Model.ACTIVATIONS); // W8A8
        Layouts layouts = (name, columns) -> {
            TensorType type = tensor(file, name).type();
            return rows ? rows(type) : type.layout();
        };
        return of(shape, "file", null, rows ? ActivationType.INT8_ROW : ActivationType.INT8, layouts);
    }

    /** A file's tensor, which may hold several matrices. */
    private static GgufTensor tensor(Gguf file, String name) {
        return Stream.of(
                        name,
                        name.replaceFirst("attn_[qkv]\\.", "attn_qkv."),
                        name.replace("ffn_gate.", "ffn_up."),
                        name.replaceFirst("ffn_(gate|up)_exps\\.", "ffn_gate_up_exps."),
                        name.replace("output.weight", "token_embd.weight"))
                .flatMap(each -> Stream.of(each, RotatedColumns.name(each)))
                .map(file::tensor)
                .filter(tensor -> tensor != null)
                .findFirst()
                .orElseThrow(() -> new ModelFormatException(
                        "Tensor \"" + name + "\" is missing; the file is not a complete model."));
    }

    private static WeightPlan of(
            ModelShape shape, String name, @Nullable WeightMix mix, ActivationType activations, Layouts layouts) {
        Map<Call, Integer> calls = new LinkedHashMap<>();
        int hidden = shape.hidden();
        ModelShape.Experts experts = shape.experts();
        for (int layer = 0; layer < shape.layers(); layer++) {
            String p = "blk." + layer + ".";
            count(
                    calls,
                    new Call(
                            matrix(layouts, p + "attn_q.weight", shape.queries(), hidden),
                            matrix(layouts, p + "attn_k.weight", shape.keys(), hidden),
                            matrix(layouts, p + "attn_v.weight", shape.keys(), hidden)));
            count(calls, new Call(matrix(layouts, p + "attn_output.weight", hidden, shape.queries())));
            if (experts == null || layer < experts.denseLayers()) {
                feedForward(calls, layouts, p, "", hidden, shape.feedForward());
                continue;
            }
            count(calls, new Call(matrix(layouts, p + "ffn_gate_inp.weight", experts.count(), hidden)));
            Map<Call, Integer> each = new LinkedHashMap<>();
            feedForward(each, layouts, p, "_exps", hidden, experts.inner());
            each.forEach((call, count) ->
                    calls.merge(new Call(call.matrices, experts.count(), experts.used()), count, Integer::sum));
            if (experts.shared() > 0) {
                feedForward(calls, layouts, p, "_shexp", hidden, experts.shared());
            }
        }
        Matrix embedding = matrix(layouts, "token_embd.weight", shape.vocabulary(), hidden);
        Matrix output = shape.tied() ? embedding : matrix(layouts, "output.weight", shape.vocabulary(), hidden);
        return new WeightPlan(name, mix, activations, Collections.unmodifiableMap(calls), output, embedding);
    }

    /** The products of a feed-forward layer whose matrices' names end so. */
    private static void feedForward(
            Map<Call, Integer> calls, Layouts layouts, String p, String end, int hidden, int inner) {
        count(
                calls,
                new Call(
                        matrix(layouts, p + "ffn_gate" + end + ".weight", inner, hidden),
                        matrix(layouts, p + "ffn_up" + end + ".weight", inner, hidden)));
        count(calls, new Call(matrix(layouts, p + "ffn_down" + end + ".weight", hidden, inner)));
    }

    private static void count(Map<Call, Integer> calls, Call call) {
        calls.merge(call, 1, Integer::sum);
    }

    private static Matrix matrix(Layouts layouts, String name, int outputs, int columns) {
        return new Matrix(outputs, columns, layouts.of(name, columns));
    }

    /** {@return the layouts that occur} */
    public Set<WeightLayout> layouts() {
        Set<WeightLayout> layouts = new LinkedHashSet<>();
        calls.keySet().forEach(call -> call.matrices().forEach(matrix -> layouts.add(matrix.layout())));
        layouts.add(output.layout());
        layouts.add(embedding.layout());
        return layouts;
    }
}
