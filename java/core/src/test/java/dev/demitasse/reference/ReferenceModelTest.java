package dev.demitasse.reference;

import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.ModelContractTest;
import java.util.List;

class ReferenceModelTest extends ModelContractTest {
    ReferenceModelTest() {
        super("reference");
    }

    /** It takes twice as long as others, and other modules' tests wait for it. */
    @Override
    protected List<KvType> batchedCaches(int i) {
        return List.of(CACHES.get(i % CACHES.size()));
    }
}
