package dev.demitasse.model;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.quant.RotatedColumns;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Computes the attention of layers, from what they are given to what is added to the residual stream. */
final class AttentionLayer {
    private final Device device;
    private final ModelConfig config;
    private final RopeTables ropes;
    private final boolean rotated; // keys and values of the cache
    private final Buffer query; // rows × heads × headDim, of the layers with the widest heads
    private final Buffer key; // rows × kvHeads × headDim, of the layers where that is most
    private final Buffer value; // the same
    private final Buffer attended; // rows × heads × headDim
    private final Buffer gate; // the same, where attention has gates
    private final @Nullable LatentAttention latent; // where keys and values are made of one vector

    /** Room for the rows of a batch. */
    AttentionLayer(Device device, DeviceBuffers buffers, ModelConfig config, RopeTables ropes, Transformer.Room room) {
        this.device = device;
        this.config = config;
        this.ropes = ropes;
        rotated = room.rotated();
        int queries = 0;
        int keys = 0;
        for (ModelConfig.KvLayers cache : config.stores(true)) {
            queries = Math.max(queries, config.heads() * cache.headDim());
            keys = Math.max(keys, cache.width());
        }
        query = buffers.allocate(room.rows(), queries);
        key = buffers.allocate(room.rows(), keys);
        attended = buffers.allocate(room.rows(), queries);
        gate = buffers.allocate(config.architecture().traits().gatedAttention ? room.rows() : 0, queries);
        Latent shape = config.latent();
        value = buffers.allocate(shape == null ? room.rows() : 0, keys);
        latent = shape == null ? null : new LatentAttention(device, buffers, config, shape, room.rows());
    }

    /**
     * Computes a layer's.
     *
     * @param input count × hidden
     * @param out receives count × hidden
     */
    void run(Mixer.Attention block, Layer shape, Buffer input, BatchRows rows, KvStore kv, Buffer out) {
        int count = rows.count();
        int headDim = kv.shape().headDim();
        int kvHeads = kv.shape().kvHeads();
        rotate(device, block.rotatedInput(), input, count, config.hidden());
        List<Projection> projections = new ArrayList<>();
        project(projections, block.query(), block.queryBias(), query);
        project(projections, block.key(), block.keyBias(), key);
        project(projections, block.value(), block.valueBias(), value);
        project(projections, block.gate(), null, gate);
        device.linear(input, count, projections.toArray(Projection[]::new));
        if (block.valueNorm() != null) {
            Buffer from = block.value() == null ? key : value;
            normalizeHeads(block.valueNorm(), from, count * kvHeads, headDim, value);
        }
        normalizeHeads(block.queryNorm(), query, count * config.heads(), headDim, query);
        normalizeHeads(block.keyNorm(), key, count * kvHeads, headDim, key);
        ropes.rotate(shape.queryRope(), query, count, config.heads(), headDim);
        if (shape.appends()) {
            ropes.rotate(shape.keyRope(), key, count, kvHeads, headDim);
        }
        attend(shape, kv, value, block.sinks(), rows);
        if (block.gate() != null) {
            long elements = (long) count * config.heads() * headDim;
            device.gatedActivation(Gate.SIGMOID, gate, attended, elements, attended);
        }
        rotate(device, block.rotatedOutput(), attended, count, config.heads() * headDim);
        device.linear(attended, count, new Projection(block.output(), block.outputBias(), out));
    }

    /** Latent vectors are keys and values of one head, which all heads of queries have. */
    void run(Mixer.LatentAttention block, Layer shape, Buffer input, BatchRows rows, KvStore kv, Buffer out) {
        LatentAttention parts = Objects.requireNonNull(latent);
        parts.project(block, ropes, shape.keyRope(), input, rows.count(), query, key);
        attend(shape, kv, key, null, rows);
        parts.output(block, attended, rows.count(), out);
    }

    /**
     * Puts {@link #key} and values in the cache, and attends with {@link #query}.
     *
     * @param values of the rows; may be {@link #key}
     */
    private void attend(Layer shape, KvStore kv, Buffer values, @Nullable Buffer sinks, BatchRows rows) {
        int count = rows.count();
        int headDim = kv.shape().headDim();
        int kvHeads = kv.shape().kvHeads();
        if (rotated) {
            device.rotate(query, count, config.heads(), headDim);
        }
        if (rotated && shape.appends()) {
            device.rotate(key, count, kvHeads, headDim);
        }
        if (rotated && shape.appends() && values != key) {
            device.rotate(values, count, kvHeads, headDim);
        }
        if (shape.appends()) {
            device.kvAppend(kv, shape.store(), key, values, rows);
        }
        AttentionShape attention = new AttentionShape(
                config.heads(),
                kvHeads,
                headDim,
                config.attentionScale(),
                config.attentionSoftCap(),
                shape.window(),
                shape.ahead());
        device.attention(query, kv, shape.store(), attention, sinks, rows, attended);
        if (rotated) {
            device.rotate(attended, count, config.heads(), headDim);
        }
    }

    /** Adds a matrix that may not be there. */
    static void project(List<Projection> to, @Nullable LinearWeight weight, @Nullable Buffer bias, Buffer out) {
        if (weight != null) {
            to.add(new Projection(weight, bias, out));
        }
    }

    private void normalizeHeads(@Nullable HeadNorm norm, Buffer x, int heads, int headDim, Buffer out) {
        if (norm != null) {
            int rows = heads * headDim / norm.columns();
            device.rmsNorm(x, norm.weight(), rows, norm.columns(), config.epsilon(), out);
        }
    }

    /** Rotates rows as the columns of the matrices are that they meet next. */
    static void rotate(Device device, boolean wanted, Buffer x, int count, int columns) {
        if (wanted) {
            int run = RotatedColumns.run(columns);
            device.rotate(x, count, columns / run, run);
        }
    }
}
