package dev.demitasse.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** How kernels are called that there are in several forms. */
final class KernelNames {
    private KernelNames() {}

    /**
     * Kernels of integer weights.
     *
     * @param weights element and group, as names have them
     * @param finish what adds up the sums of segments, where the columns are divided
     * @param wgmma many rows by wgmma, or null
     */
    record Packed(String weights, String finish, @Nullable String wgmma) {
        /** A few rows of integers: up to four, or up to eight. */
        String rows(int rows) {
            return "gemv_" + weights + "_rows" + Boundary.gemv_rows(rows);
        }

        /** Rows of FP32 activations: one, or up to four. */
        String exactRows(int rows) {
            return "gemv_" + weights + "_float_rows" + Boundary.exact_gemv_rows(rows);
        }

        /** Many rows on tensor cores, in tiles of 16, 32, 64 or 128. */
        String tiles(int rows) {
            return "gemm_" + weights + "_m" + rows;
        }

        /** Rows of groups: of integers in short tiles, or in long ones, and of FP32 activations. */
        String grouped(GroupedForm form) {
            return switch (form) {
                case ROWS -> "gemv_" + weights + "_grouped";
                case TILES -> "gemm_" + weights + "_grouped";
                case EXACT -> "gemv_" + weights + "_float_grouped";
            };
        }

        Stream<String> names() {
            List<String> all = new ArrayList<>();
            List.of(1, Boundary.GEMV_ROWS).forEach(rows -> all.add(rows(rows)));
            List.of(1, Boundary.EXACT_GEMV_ROWS).forEach(rows -> all.add(exactRows(rows)));
            List.of(16, 32, 64, 128).forEach(rows -> all.add(tiles(rows)));
            List.of(GroupedForm.values()).forEach(form -> all.add(grouped(form)));
            if (wgmma != null) {
                all.add(wgmma);
            }
            return all.stream();
        }
    }

    /** How rows of groups meet integer weights. */
    enum GroupedForm {
        ROWS,
        TILES,
        EXACT
    }

    /** Kernels of FP32, FP16 or BF16 weights. */
    record Dense(String element) {
        /** A few rows: one, or up to four. */
        String rows(int rows) {
            return "gemv_" + element + "_rows" + Boundary.float_gemv_rows(rows);
        }

        /** Many rows in tiles of 64 or of 128. */
        String tiles(int edge) {
            return "gemm_" + element + "_m" + edge;
        }

        /** Rows of groups. */
        String grouped() {
            return "gemv_" + element + "_grouped";
        }

        Stream<String> names() {
            return Stream.of(rows(1), rows(Boundary.FLOAT_GEMV_ROWS), tiles(64), tiles(128), grouped());
        }
    }

    /**
     * Kernels of a type of cache.
     *
     * @param type as names have it
     * @param exact whether elements are FP32, for which decode kernels differ by query heads
     */
    record Cache(String type, boolean exact) {
        String append() {
            return "kv_append_" + type;
        }

        String decode(int dim, int queryHeads) {
            int most = Boundary.decode_dim(exact ? Float.SIZE : Byte.SIZE, dim);
            int heads = Boundary.decode_heads(exact ? Float.SIZE : Byte.SIZE, queryHeads);
            String suffix = exact && most == 256 ? "" : "_dim" + most;
            return "attention_decode_" + type + "_heads" + heads + suffix;
        }

        String prefill(int dim) {
            return "attention_prefill_" + type + "_dim" + Boundary.prefill_dim(dim);
        }

        Stream<String> names() {
            Stream<String> decode = Stream.of(1, 2)
                    .flatMap(heads ->
                            Stream.of(128, 256, 512, Boundary.MOST_HEAD_DIM).map(dim -> decode(dim, heads)));
            Stream<String> prefill = Stream.of(64, 128, 256).map(this::prefill);
            return Stream.of(Stream.of(append()), decode, prefill).flatMap(each -> each);
        }
    }
}
