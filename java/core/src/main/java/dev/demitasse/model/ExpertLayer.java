package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import dev.demitasse.exception.UsageException;

/**
 * Computes experts: the device chooses them by the router's logits, puts the rows of each behind each other, multiplies
 * those, and adds up a row's results in the order of its experts' numbers, so that they do not depend on the other
 * rows.
 */
final class ExpertLayer {
    private final Device device;
    private final Gate activation;
    private final int hidden;
    private final Routes routes;
    private final Buffer logits; // rows × experts
    private final Buffer sharedLogits; // rows: of the expert that all tokens have
    private final Buffer inputs; // places × hidden
    private final Buffer gate; // places × width
    private final Buffer up; // the same
    private final Buffer outputs; // places × hidden

    /**
     * Room for the rows of a batch.
     *
     * @param width the widest expert
     */
    ExpertLayer(
            Device device,
            DeviceBuffers buffers,
            Gate activation,
            int maximumRows,
            int hidden,
            Routing routing,
            int width) {
        this.device = device;
        this.activation = activation;
        this.hidden = hidden;
        if ((long) maximumRows * routing.used() * Math.max(hidden, width) > Integer.MAX_VALUE) {
            throw new UsageException("A batch of " + maximumRows + " rows with " + routing.used() + " experts each of "
                    + Math.max(hidden, width) + " numbers is too large; take fewer rows a batch.");
        }
        routes = buffers.routes(maximumRows, routing);
        int places = routes.places(maximumRows);
        logits = buffers.allocate(maximumRows, routing.experts());
        sharedLogits = buffers.allocate(maximumRows, 1);
        inputs = buffers.allocate(places, hidden);
        gate = buffers.allocate(places, width);
        up = buffers.allocate(places, width);
        outputs = buffers.allocate(places, hidden);
    }

    /**
     * Computes those that are chosen.
     *
     * @param chooser count × hidden, which the router is given, and what weighs the expert that all tokens have
     * @param x count × hidden, which the experts are given
     * @param out receives count × hidden
     */
    void run(FeedForward.Experts layer, Buffer chooser, Buffer x, int count, Buffer out) {
        Projection router = new Projection(layer.router(), layer.routerBias(), logits);
        if (layer.sharedGate() == null) {
            device.linear(chooser, count, router);
        } else {
            device.linear(chooser, count, router, new Projection(layer.sharedGate(), null, sharedLogits));
        }
        device.route(logits, count, layer.bias(), layer.scales(), routes);
        device.dispatch(x, hidden, routes, inputs);
        Buffer gating = up;
        if (layer.gates() == null) {
            device.groupedLinear(inputs, routes, new GroupedProjection(layer.ups(), up));
        } else {
            gating = gate;
            device.groupedLinear(
                    inputs, routes, new GroupedProjection(layer.gates(), gate), new GroupedProjection(layer.ups(), up));
        }
        device.gatedActivation(activation, gating, up, (long) routes.places() * layer.width(), gate);
        device.groupedLinear(gate, routes, new GroupedProjection(layer.downs(), outputs));
        device.combine(outputs, hidden, routes, out);
    }

    /**
     * Adds what the expert that all tokens have has returned, of the rows that {@link #run} was given last: multiplied
     * by the logistic function of a logit each, where the layer has a matrix for those.
     *
     * @param y count × hidden, which is changed
     * @param out count × hidden
     */
    void addShared(FeedForward.Experts layer, int count, Buffer y, Buffer out) {
        if (layer.sharedGate() != null) {
            device.gateRows(y, count, hidden, sharedLogits);
        }
        device.add(out, y, (long) count * hidden);
    }
}
