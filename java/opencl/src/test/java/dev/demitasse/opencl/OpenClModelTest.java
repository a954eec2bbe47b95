package dev.demitasse.opencl;

import dev.demitasse.testkit.ModelContractTest;
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
    protected boolean isSlow() {
        return true;
    }

    @Override
    protected int longContext() {
        return 300;
    }
}
