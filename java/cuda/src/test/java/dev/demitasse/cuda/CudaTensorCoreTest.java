package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.DeviceContractTest;
import dev.demitasse.testkit.KernelCases.LinearCase;
import org.junit.jupiter.api.condition.EnabledIf;

/**
 * The device as it is by default: prefill attention on tensor cores, and on compute capability 9.0 many rows of integer
 * weights as FP16, within the bounds that attention_prefill.cu and gemm_float.sm90a.cu state.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaTensorCoreTest extends DeviceContractTest {
    private static final int WGMMA_CAPABILITY = 90;

    CudaTensorCoreTest() {
        super("cuda", 1e-5);
    }

    /** cuBLAS, where it is installed, takes activations as FP16. */
    @Override
    protected double linearBound(LinearCase c, ActivationType activations) {
        boolean fp16 = c.layout().element() == WeightLayout.Element.F16 || exactActivations(c, activations);
        return fp16 ? 1e-6 : super.linearBound(c, activations);
    }

    /** {@code gemm_f16_wgmma} takes activations as FP16, and does not quantize them. */
    @Override
    protected boolean exactActivations(LinearCase c, ActivationType activations) {
        return activations == ActivationType.INT8
                && c.layout().element().quantized()
                && c.rows() > KernelTable.FP16_LEAST_ROWS
                && c.outputs() % 2 == 0
                && Driver.gpus().getFirst().number() == WGMMA_CAPABILITY;
    }

    /** Integers are; many rows of dense weights, or those in FP16, are summed in another order than few. */
    @Override
    protected boolean batchInvariant(LinearCase c, ActivationType activations) {
        return c.layout().element().quantized() && !exactActivations(c, activations);
    }
}
