package dev.demitasse.testkit;

import dev.demitasse.Devices;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** What must be refused of operations on groups of matrices and on experts. */
final class GroupMisuse {
    private static final int[] TWO = {0, 1, 2};
    private static final Routing ROUTING = new Routing(2, 1, Routing.Score.SOFTMAX, true, 1);

    private final Map<String, Runnable> all;
    private final Device device;
    private final Buffer x;
    private final Buffer y;
    private final Buffer small;

    private GroupMisuse(Map<String, Runnable> all, Device device, Buffer x, Buffer y, Buffer small) {
        this.all = all;
        this.device = device;
        this.x = x;
        this.y = y;
        this.small = small;
    }

    /**
     * Puts them by name.
     *
     * @param x 64 numbers
     * @param y as many
     * @param small 4 numbers
     */
    static void put(Map<String, Runnable> all, Device device, Buffer x, Buffer y, Buffer small) {
        GroupMisuse misuse = new GroupMisuse(all, device, x, y, small);
        misuse.groups();
        misuse.routes();
    }

    private static MatrixSource matrix(int rows) {
        return KernelCases.matrix(new float[rows * 32], rows, 32);
    }

    /** Two matrices of 4 × 32, on a device, where they stay until it is closed. */
    private static WeightGroup group(Device device) {
        return device.uploadGroup(Collections.nCopies(2, matrix(4)), WeightLayout.int8(32), List.of());
    }

    private void upload(String name, List<MatrixSource> sources, List<float[]> biases) {
        all.put(
                name,
                () -> device.uploadGroup(sources, WeightLayout.int8(32), biases).close());
    }

    private void multiply(String name, int[] starts, GroupedProjection... projections) {
        all.put(name, () -> device.groupedLinear(x, starts, projections));
    }

    private void groups() {
        upload("a group of nothing", List.of(), List.of());
        upload("a group of unlike matrices", List.of(matrix(4), matrix(8)), List.of());
        upload("a group with one bias of two", List.of(matrix(4), matrix(4)), List.of(new float[4]));
        upload("a group with a short bias", List.of(matrix(4), matrix(4)), List.of(new float[4], new float[3]));
        WeightGroup closed = group(device);
        closed.close();
        Device other = Devices.open("reference", DeviceOptions.defaults());
        WeightGroup foreign = group(other);
        GroupedProjection grouped = new GroupedProjection(group(device), y);
        multiply("groupedLinear of nothing", TWO);
        multiply("groupedLinear of no groups", new int[1], grouped);
        multiply("groupedLinear of fewer groups", new int[] {0, 1}, grouped);
        multiply("groupedLinear from row 1 on", new int[] {1, 1, 2}, grouped);
        multiply("groupedLinear backwards", new int[] {0, 2, 1}, grouped);
        multiply("groupedLinear beyond the end", new int[] {0, 1, 3}, grouped);
        multiply("groupedLinear by a closed group", TWO, new GroupedProjection(closed, y));
        multiply("groupedLinear by a foreign group", TWO, grouped, new GroupedProjection(foreign, y));
        multiply("groupedLinear to a short buffer", TWO, new GroupedProjection(group(device), small));
    }

    private void routes() {
        Routes none = device.allocateRoutes(2, ROUTING);
        Routes closed = device.allocateRoutes(2, ROUTING);
        closed.close();
        Routes two = device.allocateRoutes(2, ROUTING);
        device.route(x, 2, null, null, two);
        GroupedProjection grouped = new GroupedProjection(group(device), y);
        all.put("routes of no rows", () -> device.allocateRoutes(0, ROUTING).close());
        all.put(
                "routes of most rows",
                () -> device.allocateRoutes(Integer.MAX_VALUE, ROUTING).close());
        all.put(
                "routes of most experts",
                () -> device.allocateRoutes(1, new Routing(4096, 1, Routing.Score.SOFTMAX, true, 1))
                        .close());
        all.put(
                "routes of most choices",
                () -> device.allocateRoutes(1, new Routing(2048, 300, Routing.Score.SOFTMAX, true, 1))
                        .close());
        all.put("dispatch of what was not routed", () -> device.dispatch(x, 32, none, y));
        all.put("combine of what was not routed", () -> device.combine(x, 32, none, y));
        Routes inputs = device.allocateRoutes(2, new Routing(2, 1, Routing.Score.SIGMOID, false, 1, true, 1, 1));
        all.put("route inputs by scales", () -> device.route(x, 2, null, x, inputs));
        all.put("route more rows than fit", () -> device.route(x, 3, null, null, none));
        all.put("route no rows", () -> device.route(x, -1, null, null, none));
        all.put("route beyond the logits", () -> device.route(x, 33, null, null, device.allocateRoutes(64, ROUTING)));
        all.put("route by a short bias", () -> device.route(x, 2, device.allocate(4), null, none));
        all.put("route by short scales", () -> device.route(x, 2, null, device.allocate(4), none));
        all.put("route to closed routes", () -> device.route(x, 2, null, null, closed));
        all.put("dispatch in place", () -> device.dispatch(x, 32, two, x));
        all.put("dispatch beyond the rows", () -> device.dispatch(x, 33, two, y));
        all.put("dispatch to a short buffer", () -> device.dispatch(x, 32, two, small));
        all.put("dispatch by closed routes", () -> device.dispatch(x, 32, closed, y));
        all.put("combine in place", () -> device.combine(x, 16, two, x));
        all.put("combine beyond the places", () -> device.combine(x, 65, two, y));
        all.put("combine to a short buffer", () -> device.combine(x, 16, two, small));
        all.put(
                "multiply experts to a short buffer",
                () -> device.groupedLinear(x, two, new GroupedProjection(group(device), small)));
        all.put(
                "multiply other experts",
                () -> device.groupedLinear(
                        x, device.allocateRoutes(2, new Routing(3, 1, Routing.Score.SOFTMAX, true, 1)), grouped));
        all.put("gateRows in place", () -> device.gateRows(x, 2, 32, x));
        all.put("gateRows beyond", () -> device.gateRows(x, 3, 32, y));
        all.put("gateRows by few logits", () -> device.gateRows(x, 5, 4, small));
    }
}
