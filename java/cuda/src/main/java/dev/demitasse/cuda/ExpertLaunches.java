package dev.demitasse.cuda;

import static dev.demitasse.cuda.KernelTable.pieces;

import dev.demitasse.device.Routing;
import dev.demitasse.gpu.GroupTiles;
import dev.demitasse.gpu.Step;
import java.util.List;

/** The choice of experts, and what is done with it beside products, as launches. */
final class ExpertLaunches {
    private ExpertLaunches() {}

    /** How rows of groups are shared out. */
    static GroupTiles tiles(int rows, int groups) {
        int each = Boundary.grouped_rows(rows, groups);
        return new GroupTiles(each, Boundary.grouped_align(each));
    }

    /** One row is put in order where it is routed; more are by a second kernel. */
    static void lower(Step.Route s, List<Launch> out) {
        Step.Choice choice = s.choice();
        Routing routing = choice.routing();
        boolean alone = choice.rows() == 1;
        long[] words = new Words(Boundary.RouteArgs.WORDS)
                .set(Boundary.RouteArgs.LOGITS, s.logits())
                .set(Boundary.RouteArgs.EXPERTS, routing.experts())
                .set(Boundary.RouteArgs.SCORE, Boundary.Score.of(routing.score()))
                .set(Boundary.RouteArgs.NORMALIZED, routing.normalized() ? 1 : 0)
                .setFloat(Boundary.RouteArgs.SCALE, routing.scale())
                .set(Boundary.RouteArgs.GROUPS, routing.groups())
                .set(Boundary.RouteArgs.USED_GROUPS, routing.usedGroups())
                .set(Boundary.RouteArgs.BIAS, s.bias())
                .set(Boundary.RouteArgs.SCALES, s.scales())
                .set(Boundary.RouteArgs.ALONE, alone ? 1 : 0)
                .set(Boundary.RouteArgs.IDS, choice.ids())
                .set(Boundary.RouteArgs.WEIGHTS, choice.weights())
                .set(Boundary.RouteArgs.ORDER, order(choice))
                .done();
        out.add(new Launch.Kernel("route", Launch.Grid.of(choice.rows(), Boundary.ROUTE_THREADS), words));
        if (!alone) {
            out.add(orderRoutes(choice));
        }
    }

    private static Launch orderRoutes(Step.Choice choice) {
        Step.TileList list = choice.list();
        Routing routing = choice.routing();
        long[] words = new Words(Boundary.OrderRoutesArgs.WORDS)
                .set(Boundary.OrderRoutesArgs.IDS, choice.ids())
                .set(Boundary.OrderRoutesArgs.WEIGHTS, choice.weights())
                .set(Boundary.OrderRoutesArgs.CHOICES, list.rows())
                .set(Boundary.OrderRoutesArgs.EXPERTS, routing.experts())
                .set(Boundary.OrderRoutesArgs.ALIGN, list.tiles().align())
                .set(Boundary.OrderRoutesArgs.TILE_ROWS, list.tiles().rows())
                .set(Boundary.OrderRoutesArgs.MOST_PLACES, list.places())
                .set(Boundary.OrderRoutesArgs.MOST_TILES, list.count())
                .set(Boundary.OrderRoutesArgs.ORDER, order(choice))
                .done();
        return new Launch.Kernel("order_routes", Launch.Grid.of(routing.experts(), Boundary.ORDER_THREADS), words);
    }

    /** The structure {@code RouteOrder}. */
    private static long[] order(Step.Choice choice) {
        return new Words(Boundary.RouteOrder.WORDS)
                .set(Boundary.RouteOrder.USED, choice.routing().used())
                .set(Boundary.RouteOrder.PLACES, choice.places())
                .set(Boundary.RouteOrder.PLACE_ROWS, choice.placeRows())
                .set(Boundary.RouteOrder.PLACE_WEIGHTS, choice.placeWeights())
                .set(Boundary.RouteOrder.TILES, choice.list().address())
                .done();
    }

    static Launch dispatch(Step.Dispatch s) {
        Step.Choice choice = s.choice();
        long[] words = new Words(Boundary.GatherRowsArgs.WORDS)
                .set(Boundary.GatherRowsArgs.X, s.x())
                .set(Boundary.GatherRowsArgs.COLUMNS, s.columns())
                .set(Boundary.GatherRowsArgs.IDS, choice.placeRows())
                .set(Boundary.GatherRowsArgs.FACTORS, choice.routing().weighsInputs() ? choice.placeWeights() : 0)
                .set(Boundary.GatherRowsArgs.OUT, s.out())
                .done();
        return new Launch.Kernel("gather_rows", Launch.Grid.of(choice.list().places(), Boundary.ROW_THREADS), words);
    }

    static Launch combine(Step.Combine s) {
        Step.Choice choice = s.choice();
        long[] words = new Words(Boundary.CombineArgs.WORDS)
                .set(Boundary.CombineArgs.X, s.x())
                .set(Boundary.CombineArgs.COLUMNS, s.columns())
                .set(Boundary.CombineArgs.USED, choice.routing().used())
                .set(Boundary.CombineArgs.PLACES, choice.places())
                .set(Boundary.CombineArgs.WEIGHTS, choice.routing().weighsInputs() ? 0 : choice.weights())
                .set(Boundary.CombineArgs.OUT, s.out())
                .set(Boundary.CombineArgs.ADDEND, s.addend())
                .set(Boundary.CombineArgs.LOGITS, s.logits())
                .done();
        return new Launch.Kernel("combine", rows(choice.rows(), s.columns()), words);
    }

    static Launch gateRows(Step.GateRows s) {
        long[] words = new Words(Boundary.GateRowsArgs.WORDS)
                .set(Boundary.GateRowsArgs.X, s.x())
                .set(Boundary.GateRowsArgs.COLUMNS, s.columns())
                .set(Boundary.GateRowsArgs.LOGITS, s.logits())
                .done();
        return new Launch.Kernel("gate_rows", rows(s.rows(), s.columns()), words);
    }

    /** A thread a column. */
    private static Launch.Grid rows(int rows, int columns) {
        return new Launch.Grid(rows, pieces(columns, Boundary.ROW_THREADS), 1, Boundary.ROW_THREADS, 0);
    }
}
