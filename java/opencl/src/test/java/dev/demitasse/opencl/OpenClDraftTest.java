package dev.demitasse.opencl;

import dev.demitasse.testkit.DraftContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClDraftTest extends DraftContractTest {
    OpenClDraftTest() {
        super("opencl");
    }

    @Override
    protected int rounds() {
        return 5;
    }
}
