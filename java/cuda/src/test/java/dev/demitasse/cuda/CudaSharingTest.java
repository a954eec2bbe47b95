package dev.demitasse.cuda;

import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.SharingContractTest;
import java.util.stream.Stream;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.provider.Arguments;

@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaSharingTest extends SharingContractTest {
    CudaSharingTest() {
        super("cuda");
    }

    @Override
    protected Stream<Arguments> models() {
        // It has attention and states; pages of all types are CudaDeviceTest's.
        return Stream.of(Arguments.of("qwen35", KvType.INT8));
    }

    @Override
    protected int rounds() {
        return 6;
    }
}
