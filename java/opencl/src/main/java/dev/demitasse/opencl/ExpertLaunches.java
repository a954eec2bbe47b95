package dev.demitasse.opencl;

import static dev.demitasse.opencl.StepLaunches.kernel;
import static dev.demitasse.opencl.StepLaunches.pieces;

import dev.demitasse.device.Routing;
import dev.demitasse.gpu.GroupTiles;
import dev.demitasse.gpu.Step;
import java.util.List;

/** The choice of experts, and what is done with it beside products, as launches. */
final class ExpertLaunches {
    private ExpertLaunches() {}

    /** How rows of groups are shared out. */
    static GroupTiles tiles(int rows, int groups, int most) {
        return new GroupTiles(most == 1 ? 1 : Boundary.grouped_rows(rows, groups), 1);
    }

    /** One row is put in order where it is routed; more are by a second kernel. */
    static void lower(Step.Route s, List<Launch> out) {
        Step.Choice choice = s.choice();
        Routing routing = choice.routing();
        boolean alone = choice.rows() == 1;
        out.add(new Arguments(Boundary.RouteArgs.WORDS)
                .buffer(Boundary.RouteArgs.LOGITS, s.logits())
                .buffer(Boundary.RouteArgs.BIAS, s.bias())
                .buffer(Boundary.RouteArgs.SCALES, s.scales())
                .buffer(choice.ids())
                .set(Boundary.RouteArgs.EXPERTS, routing.experts())
                .set(Boundary.RouteArgs.SCORE, Boundary.Score.of(routing.score()))
                .set(Boundary.RouteArgs.NORMALIZED, routing.normalized() ? 1 : 0)
                .setFloat(Boundary.RouteArgs.SCALE, routing.scale())
                .set(Boundary.RouteArgs.GROUPS, routing.groups())
                .set(Boundary.RouteArgs.USED_GROUPS, routing.usedGroups())
                .set(Boundary.RouteArgs.ALONE, alone ? 1 : 0)
                .set(Boundary.RouteArgs.ORDER, order(choice))
                .launch(
                        new Programs.Key("route", "-DGROUPS=" + (routing.groups() > 1 ? 1 : 0)),
                        new Launch.Grid(choice.rows(), 1, 1, Boundary.ROUTE_ITEMS)));
        if (!alone) {
            out.add(new Arguments(Boundary.OrderRoutesArgs.WORDS)
                    .buffer(choice.ids())
                    .set(Boundary.OrderRoutesArgs.CHOICES, choice.list().rows())
                    .set(Boundary.OrderRoutesArgs.EXPERTS, routing.experts())
                    .set(
                            Boundary.OrderRoutesArgs.TILE_ROWS,
                            choice.list().tiles().rows())
                    .set(Boundary.OrderRoutesArgs.MOST_TILES, choice.list().count())
                    .set(Boundary.OrderRoutesArgs.ORDER, order(choice))
                    .launch(kernel("order_routes"), new Launch.Grid(routing.experts(), 1, 1, Boundary.ORDER_ITEMS)));
        }
    }

    /** The structure {@code RouteOrder}, whose buffer is that of the choice. */
    private static long[] order(Step.Choice choice) {
        return new Arguments(Boundary.RouteOrder.WORDS)
                .set(Boundary.RouteOrder.USED, choice.routing().used())
                .offset(Boundary.RouteOrder.IDS, choice.ids())
                .offset(Boundary.RouteOrder.WEIGHTS, choice.weights())
                .offset(Boundary.RouteOrder.PLACES, choice.places())
                .offset(Boundary.RouteOrder.PLACE_ROWS, choice.placeRows())
                .offset(Boundary.RouteOrder.PLACE_WEIGHTS, choice.placeWeights())
                .offset(Boundary.RouteOrder.TILES, choice.list().address())
                .words();
    }

    static Launch dispatch(Step.Dispatch s) {
        Step.Choice choice = s.choice();
        return new Arguments(Boundary.GatherRowsArgs.WORDS)
                .buffer(Boundary.GatherRowsArgs.X, s.x())
                .buffer(Boundary.GatherRowsArgs.IDS, choice.placeRows())
                .buffer(Boundary.GatherRowsArgs.FACTORS, choice.routing().weighsInputs() ? choice.placeWeights() : 0)
                .buffer(Boundary.GatherRowsArgs.OUT, s.out())
                .set(Boundary.GatherRowsArgs.COLUMNS, s.columns())
                .launch(kernel("gather_rows"), new Launch.Grid(choice.list().places(), 1, 1, Boundary.ROW_ITEMS));
    }

    static Launch combine(Step.Combine s) {
        Step.Choice choice = s.choice();
        return new Arguments(Boundary.CombineArgs.WORDS)
                .buffer(Boundary.CombineArgs.X, s.x())
                .buffer(Boundary.CombineArgs.PLACES, choice.places())
                .buffer(Boundary.CombineArgs.OUT, s.out())
                .buffer(Boundary.CombineArgs.ADDEND, s.addend())
                .buffer(Boundary.CombineArgs.LOGITS, s.logits())
                .set(Boundary.CombineArgs.COLUMNS, s.columns())
                .set(Boundary.CombineArgs.USED, choice.routing().used())
                .offset(Boundary.CombineArgs.WEIGHTS, choice.routing().weighsInputs() ? 0 : choice.weights())
                .launch(kernel("combine"), rows(choice.rows(), s.columns()));
    }

    static Launch gateRows(Step.GateRows s) {
        return new Arguments(Boundary.GateRowsArgs.WORDS)
                .buffer(Boundary.GateRowsArgs.X, s.x())
                .buffer(Boundary.GateRowsArgs.LOGITS, s.logits())
                .set(Boundary.GateRowsArgs.COLUMNS, s.columns())
                .launch(kernel("gate_rows"), rows(s.rows(), s.columns()));
    }

    /** An item a column. */
    private static Launch.Grid rows(int rows, int columns) {
        return new Launch.Grid(pieces(columns, Boundary.ROW_ITEMS), rows, 1, Boundary.ROW_ITEMS);
    }
}
