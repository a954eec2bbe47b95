package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;
import static dev.demitasse.device.Arguments.requireAccess;
import static dev.demitasse.device.Arguments.requireGroups;
import static dev.demitasse.device.Arguments.requireRows;

import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What {@link CheckedDevice} does with groups of matrices and with choices of experts. */
final class CheckedGroups {
    private static final int MOST_PLACES = 1 << 24;
    private static final int MOST_EXPERTS = 2048;
    private static final int MOST_CHOSEN = 256;

    private final Device device;
    private final CheckedOperands operands;
    private long epoch; // choices of experts count that were made in it

    CheckedGroups(Device device, CheckedOperands operands) {
        this.device = device;
        this.operands = operands;
    }

    /** What was routed is dropped. */
    void forget() {
        epoch++;
    }

    WeightGroup upload(List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        List<MatrixSource> each = List.copyOf(sources);
        List<float[]> own = List.copyOf(biases);
        require(!each.isEmpty(), () -> "A group of weights has at least one matrix.");
        MatrixSource first = each.getFirst();
        for (MatrixSource source : each) {
            requireAccess(source.data());
            require(
                    source.rows() == first.rows() && source.columns() == first.columns(),
                    () -> "The matrices of a group are not of the same rows and columns.");
        }
        require(
                own.isEmpty()
                        || own.size() == each.size() && own.stream().allMatch(bias -> bias.length == first.rows()),
                () -> each.size() + " matrices of a group have " + own.size()
                        + " biases, or some that are not as long as their rows are many.");
        return new CheckedHandle.Group(operands.owner(), device.uploadGroup(each, layout, own));
    }

    Routes allocateRoutes(int maximumRows, Routing routing) {
        require(
                routing.experts() <= MOST_EXPERTS && routing.used() <= MOST_CHOSEN,
                () -> "At most " + MOST_CHOSEN + " of at most " + MOST_EXPERTS + " experts are chosen, not "
                        + routing.used() + " of " + routing.experts() + ".");
        require(
                maximumRows >= 1 && (long) maximumRows * routing.used() <= MOST_PLACES,
                () -> "Routes have room for 1 row to " + MOST_PLACES / routing.used() + ", not " + maximumRows + ".");
        return new CheckedHandle.Choice(operands.owner(), device.allocateRoutes(maximumRows, routing));
    }

    private Routes open(CheckedHandle.Choice choice) {
        return choice.open(operands.owner(), "choice of experts");
    }

    /** The device's own projections. */
    private GroupedProjection[] projections(int groups, int rows, GroupedProjection... projections) {
        require(projections.length > 0, () -> "groupedLinear takes at least one projection.");
        int columns = projections[0].weights().columns();
        GroupedProjection[] checked = new GroupedProjection[projections.length];
        for (int i = 0; i < checked.length; i++) {
            WeightGroup own = operands.group(projections[i].weights());
            require(own.groups() == groups, () -> groups + " groups have " + own.groups() + " matrices.");
            require(
                    own.columns() == columns,
                    () -> "Weights of one groupedLinear have " + columns + " and " + own.columns() + " columns.");
            checked[i] = new GroupedProjection(own, operands.floats(projections[i].out(), rows, own.rows()));
        }
        return checked;
    }

    void groupedLinear(Buffer x, int[] starts, GroupedProjection... given) {
        int[] own = starts.clone();
        requireGroups(own);
        int rows = own[own.length - 1];
        GroupedProjection[] checked = projections(own.length - 1, rows, given);
        device.groupedLinear(operands.floats(x, rows, checked[0].weights().columns()), own, checked);
    }

    void groupedLinear(Buffer x, Routes routes, GroupedProjection... given) {
        CheckedHandle.Choice choice = operands.choice(routes);
        Routes own = open(choice);
        int places = choice.places(choice.rows(epoch));
        GroupedProjection[] checked = projections(own.routing().experts(), places, given);
        device.groupedLinear(operands.floats(x, places, checked[0].weights().columns()), own, checked);
    }

    void route(Buffer logits, int rows, @Nullable Buffer bias, @Nullable Buffer scales, Routes out) {
        CheckedHandle.Choice choice = operands.choice(out);
        Routes own = open(choice);
        int experts = own.routing().experts();
        requireRows(rows, experts);
        choice.places(rows);
        require(
                scales == null || !own.routing().weighsInputs(),
                () -> "route takes no scales where weights multiply what experts are given.");
        device.route(
                operands.floats(logits, rows, experts),
                rows,
                bias == null ? null : operands.floats(bias, experts),
                scales == null ? null : operands.floats(scales, experts),
                own);
        choice.routed(rows, epoch);
        if (operands.running != null) {
            operands.running.routes(choice);
        }
    }

    void dispatch(Buffer x, int columns, Routes routes, Buffer out) {
        CheckedHandle.Choice choice = operands.choice(routes);
        Routes own = open(choice);
        int rows = choice.rows(epoch);
        requireRows(rows, columns);
        require(x != out, () -> "dispatch writes to another buffer than it reads.");
        device.dispatch(
                operands.floats(x, rows, columns), columns, own, operands.floats(out, choice.places(rows), columns));
    }

    void combine(Buffer x, int columns, Routes routes, Buffer out) {
        CheckedHandle.Choice choice = operands.choice(routes);
        Routes own = open(choice);
        int rows = choice.rows(epoch);
        requireRows(rows, columns);
        require(x != out, () -> "combine writes to another buffer than it reads.");
        device.combine(
                operands.floats(x, choice.places(rows), columns), columns, own, operands.floats(out, rows, columns));
    }

    void gateRows(Buffer x, int rows, int columns, Buffer logits) {
        requireRows(rows, columns);
        require(x != logits, () -> "gateRows writes to another buffer than that of its logits.");
        device.gateRows(operands.floats(x, rows, columns), rows, columns, operands.floats(logits, rows));
    }
}
