package dev.demitasse.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.Routing;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Which steps become one, and which stay apart. Numbers are addresses. */
class FusionsTest {
    private static final int ROWS = 3;
    private static final int COLUMNS = 128;
    private static final BatchTables.Rows TABLES = new BatchTables.Rows(ROWS, 1, 2, 3, 50);

    private static final KvStore STORE = new KvStore() {
        @Override
        public KvShape shape() {
            return new KvShape(1, 2, 64, 4, KvType.F16);
        }

        @Override
        public String layout() {
            return "none";
        }

        @Override
        public long pageBytes() {
            return 0;
        }

        @Override
        public void readPage(int page, MemorySegment target) {
            throw new AssertionError("it has no memory");
        }

        @Override
        public void writePage(int page, MemorySegment source) {
            throw new AssertionError("it has no memory");
        }

        @Override
        public void close() {}
    };

    private static Step.RmsNorm norm(long x, long addend, Step.Quantize quantize) {
        return new Step.RmsNorm(x, 50, 1, ROWS, COLUMNS, 1e-5f, 60, addend, quantize);
    }

    private static Step.RmsNorm norm() {
        return new Step.RmsNorm(10, 50, 1, ROWS, COLUMNS, 1e-5f, 60, 0, null);
    }

    private static Step.Quantize quantize(long x, boolean perRow) {
        return new Step.Quantize(x, ROWS, COLUMNS, COLUMNS, perRow);
    }

    private static Step.Rope rope(long x, int heads, long angles) {
        return new Step.Rope(x, ROWS, heads, 64, 64, false, angles);
    }

    private static Step.KvAppend append(Step.Rope keys, Step.Rope queries) {
        return new Step.KvAppend(STORE, 0, 20, 30, TABLES, keys, queries, false);
    }

    private static Step.KvAppend append() {
        return new Step.KvAppend(STORE, 0, 20, 30, TABLES, null, null, false);
    }

    private static Step.Rotate rotate(long x) {
        return new Step.Rotate(x, ROWS, 2, 64, null);
    }

    private static Step.Attention attention(int blocks, Step.Quantize quantize) {
        return new Step.Attention(
                STORE, 0, new AttentionShape(2, 2, 64, 1, 0, 0), 90, 40, 70, TABLES, plan(blocks), quantize);
    }

    private static Step.Attention attention(int blocks) {
        return new Step.Attention(
                STORE, 0, new AttentionShape(2, 2, 64, 1, 0, 0), 90, 40, 70, TABLES, plan(blocks), null);
    }

    private static AttentionPlan plan(int blocks) {
        return new AttentionPlan(List.of(new AttentionPlan.Range(0, ROWS)), 1, 64, blocks, 0);
    }

    @Test
    void aNormAddsWhatWasAddedJustBefore() {
        Step add = new Step.Add(10, 11, ROWS * COLUMNS);
        assertThat(Fusions.apply(List.of(add, norm())))
                .containsExactly(new Step.RmsNorm(10, 50, 1, ROWS, COLUMNS, 1e-5f, 60, 11, null));
    }

    @Test
    void additionsOfOtherNumbersStayApart() {
        for (Step.Add add : List.of(new Step.Add(12, 11, ROWS * COLUMNS), new Step.Add(10, 11, COLUMNS))) {
            assertThat(Fusions.apply(List.of(add, norm()))).containsExactly(add, norm());
        }
        Step add = new Step.Add(10, 11, ROWS * COLUMNS);
        Step between = new Step.SoftCap(90, 1, 30);
        assertThat(Fusions.apply(List.of(add, between, norm()))).containsExactly(add, between, norm());
    }

    @Test
    void keysAndQueriesAreTurnedWhereKeysAreStored() {
        Step.Rope queries = rope(40, 2, 5);
        Step.Rope keys = rope(20, 2, 5);
        assertThat(Fusions.apply(List.of(queries, keys, append()))).containsExactly(append(keys, queries));
    }

    @Test
    void queriesOfOtherAnglesAreTurnedApart() {
        Step.Rope queries = rope(40, 2, 6);
        Step.Rope keys = rope(20, 2, 5);
        assertThat(Fusions.apply(List.of(queries, keys, append())))
                .containsExactly(queries, new Step.KvAppend(STORE, 0, 20, 30, TABLES, keys, null, false));
        assertThat(Fusions.apply(List.of(keys, queries, append()))).containsExactly(keys, queries, append());
    }

    @Test
    void queriesKeysAndValuesAreRotatedWhereTheyAreTurnedAndStored() {
        Step.Rope queries = rope(40, 2, 5);
        Step.Rope keys = rope(20, 2, 5);
        assertThat(Fusions.apply(List.of(queries, keys, rotate(40), rotate(20), rotate(30), append())))
                .containsExactly(new Step.KvAppend(STORE, 0, 20, 30, TABLES, keys, queries, true));
    }

    @Test
    void whatIsNotTurnedBeforeIsRotatedApart() {
        Step.Rope queries = rope(40, 2, 5);
        Step.Rope keys = rope(20, 2, 5);
        for (List<Step> apart : List.<List<Step>>of(
                List.of(rotate(40), rotate(20), rotate(30), append()),
                List.of(queries, rotate(40), rotate(20), rotate(30), append()),
                List.of(queries, keys, rotate(41), rotate(20), rotate(30), append()), // other queries
                List.of(queries, keys, rotate(20), rotate(30), append()))) {
            assertThat(Fusions.apply(apart)).isEqualTo(apart);
        }
    }

    @Test
    void whatWritesRowsAlsoQuantizesThem() {
        Step.GatedActivation gated = new Step.GatedActivation(Gate.SILU, 80, 81, ROWS * COLUMNS, 80, null);
        assertThat(Fusions.apply(List.of(norm(), quantize(60, true)))).containsExactly(norm(10, 0, quantize(60, true)));
        assertThat(Fusions.apply(List.of(gated, quantize(80, false))))
                .containsExactly(new Step.GatedActivation(Gate.SILU, 80, 81, ROWS * COLUMNS, 80, quantize(80, false)));
        assertThat(Fusions.apply(List.of(attention(0), quantize(70, false))))
                .containsExactly(attention(0, quantize(70, false)));
        assertThat(Fusions.apply(List.of(rotate(70), quantize(70, false))))
                .containsExactly(new Step.Rotate(70, ROWS, 2, 64, quantize(70, false)));
    }

    private static Step.Choice choice(int rows) {
        Step.TileList list = new Step.TileList(100, new GroupTiles(4, 1), ROWS, 1, ROWS, ROWS);
        return new Step.Choice(new Routing(8, 2, Routing.Score.SOFTMAX, true, 1), rows, 1, 2, 3, 4, 5, list);
    }

    private static Step.Dispatch dispatch(Step.@Nullable Quantize quantize) {
        return new Step.Dispatch(80, COLUMNS, choice(1), 70, quantize);
    }

    @Test
    void rowsOfExpertsAreQuantizedAsTheyAreGathered() {
        assertThat(Fusions.apply(List.of(dispatch(null), quantize(70, true))))
                .containsExactly(dispatch(quantize(70, true)));
        List<Step> apart = List.of(dispatch(null), quantize(71, false));
        assertThat(Fusions.apply(apart)).isEqualTo(apart);
    }

    private static Step combine(long addend, long logits) {
        return new Step.Combine(70, COLUMNS, choice(ROWS), 10, addend, logits);
    }

    @Test
    void whatAllTokensHaveIsAddedToWhatTheyChose() {
        Step gated = new Step.GateRows(80, ROWS, COLUMNS, 90);
        Step add = new Step.Add(10, 80, ROWS * COLUMNS);
        assertThat(Fusions.apply(List.of(combine(0, 0), gated, add))).containsExactly(combine(80, 90));
        assertThat(Fusions.apply(List.of(combine(0, 0), add))).containsExactly(combine(80, 0));
        for (List<Step> apart : List.<List<Step>>of(
                List.of(gated, add),
                List.of(combine(0, 0), gated, new Step.Add(11, 80, ROWS * COLUMNS)), // to something else
                List.of(combine(0, 0), new Step.GateRows(81, ROWS, COLUMNS, 90), add), // something else is gated
                List.of(combine(0, 0), new Step.GateRows(80, 1, ROWS * COLUMNS, 90), add), // as rows of another length
                List.of(combine(0, 0), new Step.Add(10, 70, ROWS * COLUMNS)), // of what the choices are
                List.of(combine(0, 0), new Step.Add(10, 80, COLUMNS)))) {
            assertThat(Fusions.apply(apart)).isEqualTo(apart);
        }
    }

    @Test
    void rowsThatAnotherKernelWroteAreQuantizedApart() {
        Step.GatedActivation gated = new Step.GatedActivation(Gate.SILU, 80, 81, ROWS * COLUMNS, 80, null);
        for (List<Step> apart : List.<List<Step>>of(
                List.of(norm(), quantize(61, false)), // other rows
                List.of(gated, quantize(80, true)), // a scale of a whole row, of which a block has a part
                List.of(attention(1), quantize(70, false)), // prefill writes after the kernel of decode
                List.of(attention(0), quantize(70, true)),
                List.of(quantize(60, false)))) {
            assertThat(Fusions.apply(apart)).isEqualTo(apart);
        }
    }
}
