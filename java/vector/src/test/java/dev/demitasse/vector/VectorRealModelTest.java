package dev.demitasse.vector;

import dev.demitasse.testkit.RealModelContractTest;
import java.util.List;

class VectorRealModelTest extends RealModelContractTest {
    VectorRealModelTest() {
        super("vector");
    }

    @Override
    protected List<String> perplexityModels() {
        return models().subList(0, 1);
    }
}
