package dev.demitasse.cuda;

import dev.demitasse.exception.BackendUnavailableException;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The instructions by which tensor cores multiply matrices of integers; names are those of {@code
 * DeviceOptions.instructionSet}.
 */
enum TensorCores {
    /** {@code gemm_int8.cu}: every supported GPU. */
    MMA,
    /**
     * {@code gemm_int8.sm90a.cu}, for matrices and activations with one scale a row, and {@code gemm_float.sm90a.cu},
     * for others: compute capability 9.0.
     */
    WGMMA;

    private static final int WGMMA_CAPABILITY = 90;

    /**
     * Those asked for; unless named, WGMMA where the GPU has it, which was faster on an H200 from 512 rows on, the
     * fewest measured (cuda/results).
     *
     * @throws BackendUnavailableException where the name is unknown or the GPU has no such instructions
     */
    static TensorCores of(@Nullable String name, Driver.Gpu gpu) {
        if (name == null) {
            return gpu.number() == WGMMA_CAPABILITY ? WGMMA : MMA;
        }
        TensorCores wanted = Arrays.stream(values())
                .filter(t -> t.name().toLowerCase(Locale.ROOT).equals(name))
                .findFirst()
                .orElseThrow(() -> new BackendUnavailableException(
                        "cuda: there is no instruction set " + name + "; there are mma and wgmma."));
        if (wanted == WGMMA && gpu.number() != WGMMA_CAPABILITY) {
            throw new BackendUnavailableException(
                    "cuda: wgmma needs compute capability 9.0, and this is " + gpu + "; use mma.");
        }
        return wanted;
    }
}
