package dev.demitasse.testkit;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.TokenIds;
import java.util.function.Consumer;

/** A pass whose operations do not depend on tokens. */
record PassOf(LinearWeight table, KvStore kv, Consumer<BatchRows> body) implements Pass {
    @Override
    public void operations(TokenIds ids, BatchRows rows) {
        body.accept(rows);
    }
}
