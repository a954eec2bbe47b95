package dev.demitasse.opencl;

import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.ModelContractTest;
import java.util.List;
import org.junit.jupiter.api.condition.EnabledIf;

/** Whole models, every step after the second replayed. */
@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClModelTest extends ModelContractTest {
    OpenClModelTest() {
        super("opencl");
    }

    @Override
    protected int sequences() {
        return 4;
    }

    /** Its compiler takes a second for each type of cache and size of heads. */
    @Override
    protected List<KvType> batchedCaches(int i) {
        return List.of(CACHES.get(i % CACHES.size()));
    }

    @Override
    protected int longContext() {
        return 300;
    }
}
