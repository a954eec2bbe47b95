package dev.demitasse.cuda;

import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.DeviceContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

/**
 * The device as it is by default: prefill attention on tensor cores, within the bound that attention_prefill.cu states.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaTensorCoreTest extends DeviceContractTest {
    CudaTensorCoreTest() {
        super("cuda", 1e-5);
    }

    /** cuBLAS, where it is installed, takes activations as FP16. */
    @Override
    protected double linearBound(WeightLayout layout) {
        return layout.element() == WeightLayout.Element.F16 ? 1e-6 : super.linearBound(layout);
    }

    /** Integers are; many rows of dense weights are summed in another order than few. */
    @Override
    protected boolean batchInvariant(WeightLayout layout) {
        return layout.element().quantized();
    }
}
