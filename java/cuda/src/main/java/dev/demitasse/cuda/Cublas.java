package dev.demitasse.cuda;

import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.quant.WeightLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.jspecify.annotations.Nullable;

/** Products with dense FP32 and FP16 matrices by cuBLAS 12, through JCublas, where it is installed. */
final class Cublas implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Cublas.class.getName());
    private static final Pointer ONE = constant(1);
    private static final Pointer ZERO = constant(0);

    private final CudaContext context;
    private final cublasHandle handle = new cublasHandle();

    /** A number outside of the heap: JCublas would hold a Java array critical across further calls of JNI. */
    private static Pointer constant(float value) {
        ByteBuffer memory = ByteBuffer.allocateDirect(Float.BYTES).order(ByteOrder.nativeOrder());
        return Pointer.to(memory.putFloat(0, value));
    }

    private Cublas(CudaContext context) {
        this.context = context;
    }

    /** cuBLAS on a context; null, with the reason logged, where it is not installed or does not start. */
    static @Nullable Cublas open(CudaContext context) {
        try {
            JCublas2.initialize();
        } catch (LinkageError e) {
            LOG.log(
                    System.Logger.Level.INFO,
                    "cuda: cuBLAS 12 (libcublas.so.12) cannot be loaded; matrices in FP32 and FP16 are multiplied by"
                            + " kernels of Demitasse's own");
            LOG.log(System.Logger.Level.DEBUG, "JCublas", e);
            return null;
        }
        context.enter(); // or it would make a context of its own
        Cublas cublas = new Cublas(context);
        int failed = JCublas2.cublasCreate(cublas.handle);
        if (failed == cublasStatus.CUBLAS_STATUS_SUCCESS) {
            failed = JCublas2.cublasSetStream(cublas.handle, new cudaStream_t(context.stream()));
        }
        if (failed != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "cuda: cuBLAS does not start ({0}); matrices in FP32 and FP16 are multiplied by kernels of"
                            + " Demitasse''s own",
                    cublasStatus.stringFor(failed));
            return null;
        }
        return cublas;
    }

    /**
     * Computes out = x wᵀ: FP32 activations and weights in FP32; or both in FP16, with sums in FP32.
     *
     * @param weight outputs × columns
     * @param x address of rows × columns numbers of the weight's type
     * @param out address of rows × outputs FP32 numbers
     */
    void multiply(GpuWeight weight, long x, int rows, long out) {
        boolean narrow = weight.layout().element() == WeightLayout.Element.F16;
        int type = narrow ? cudaDataType.CUDA_R_16F : cudaDataType.CUDA_R_32F;
        // cuBLAS has columns in order: to it rows of weights are columns of a transposed matrix.
        check(
                JCublas2.cublasGemmEx(
                        handle,
                        cublasOperation.CUBLAS_OP_T,
                        cublasOperation.CUBLAS_OP_N,
                        weight.rows(),
                        rows,
                        weight.columns(),
                        ONE,
                        DevicePointer.of(weight.elements()),
                        type,
                        Math.toIntExact(weight.stride() / (narrow ? 2 : 4)),
                        DevicePointer.of(x),
                        type,
                        weight.columns(),
                        ZERO,
                        DevicePointer.of(out),
                        cudaDataType.CUDA_R_32F,
                        weight.rows(),
                        cudaDataType.CUDA_R_32F, // JCublas takes cuBLAS's older form of the function
                        cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
                "multiplying by cuBLAS");
    }

    private static void check(int status, String doing) {
        if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            throw new DeviceFailedException("cuda: " + cublasStatus.stringFor(status) + " while " + doing
                    + ". Close the device, and open it again.");
        }
    }

    @Override
    public void close() {
        if (context.usable()) {
            context.enter();
            JCublas2.cublasDestroy(handle);
        }
    }
}
