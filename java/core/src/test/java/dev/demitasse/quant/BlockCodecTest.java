package dev.demitasse.quant;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.demitasse.testkit.Golden;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BlockCodecTest {
    @Test
    void everyTensorTypeDecodesTheGoldenBlocksExactly() {
        Set<TensorType> seen = EnumSet.noneOf(TensorType.class);
        List<JsonNode> rows = new ArrayList<>(Golden.lines("blocks.jsonl"));
        rows.addAll(Golden.lines("blocks-more.jsonl"));
        for (JsonNode row : rows) {
            TensorType type = TensorType.valueOf(row.get("type").asText());
            seen.add(type);
            MatrixSource source = source(row, type);
            float[] actual = new float[source.columns()];
            source.dequantizeRow(0, actual);
            assertSame(row, actual);
        }
        assertThat(seen).containsAll(EnumSet.complementOf(EnumSet.of(TensorType.F32)));
    }

    private static MatrixSource source(JsonNode row, TensorType type) {
        byte[] bytes = Base64.getDecoder().decode(row.get("bytes").asText());
        return new MatrixSource(
                row.get("tensor").asText(), type, 1, row.get("values").size(), MemorySegment.ofArray(bytes));
    }

    private static void assertSame(JsonNode row, float[] actual) {
        for (int i = 0; i < actual.length; i++) {
            assertThat(actual[i])
                    .as("%s %s element %d", row.get("type"), row.get("tensor"), i)
                    .isEqualTo((float) row.get("values").get(i).asDouble());
        }
    }
}
