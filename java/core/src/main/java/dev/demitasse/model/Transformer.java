package dev.demitasse.model;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.RotatedColumns;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of every architecture: what differs between them are fields of {@link ModelConfig} and null weights.
 */
public final class Transformer implements AutoCloseable {
    /** Rows whose logits are computed at once; more are done in several rounds. */
    public static final int LOGIT_ROWS = 16;

    /** Positions whose angles are written at once. */
    private static final int LEAST_ANGLES = 256;

    private final ModelConfig config;
    private final Weights weights;
    private final Device device;
    private final int maximumRows;
    private final List<Buffer> owned = new ArrayList<>();
    private final int positions;
    private final boolean rotated; // keys and values of the cache
    private int knownAngles; // positions, from 0 on, whose angles are in the tables

    private final Buffer residual; // rows × hidden
    private final Buffer normed; // rows × hidden
    private final Buffer branch; // rows × hidden
    private final Buffer query; // rows × heads × headDim
    private final Buffer key; // rows × kvHeads × headDim
    private final Buffer value; // rows × kvHeads × headDim
    private final Buffer attended; // rows × heads × headDim
    private final Buffer gate; // rows × feedForward
    private final Buffer up; // rows × feedForward
    private final Buffer angleTable; // positions × ropeDim / 2 × (cosine, sine)
    private final Buffer windowAngleTable; // the same for layers with a window
    private final Buffer angles; // those of the rows
    private final Buffer windowAngles;
    private final Buffer picked; // LOGIT_ROWS × hidden
    private final Buffer logits; // LOGIT_ROWS × vocabulary
    private @Nullable Layers layers; // of the cache that was used last

    /** Receives logits. */
    @FunctionalInterface
    public interface LogitsSink {
        /**
         * Takes the logits of some of the rows that were asked for.
         *
         * @param first index of the first among the rows that were asked for
         * @param count rows
         * @param logits count × vocabulary, valid during the call
         */
        void accept(int first, int count, Buffer logits);
    }

    /** The operations from a batch's tokens to the residual after the last layer. */
    private final class Layers implements Pass {
        private final KvStore kv;

        Layers(KvStore kv) {
            this.kv = kv;
        }

        @Override
        public LinearWeight table() {
            return weights.embedding();
        }

        @Override
        public KvStore kv() {
            return kv;
        }

        @Override
        public void operations(TokenIds ids, BatchRows rows) {
            begin(ids, rows);
            for (int layer = 0; layer < config.layers(); layer++) {
                attention(layer, rows, kv);
                feedForward(layer, rows.count());
            }
        }
    }

    /**
     * A transformer. It does not own device and weights.
     *
     * @param maximumRows rows that a batch has at most
     * @param positions positions that a sequence has at most
     * @param rotated whether the cache holds keys and values rotated
     */
    public Transformer(
            ModelConfig config, Weights weights, Device device, int maximumRows, int positions, boolean rotated) {
        this.config = config;
        this.weights = weights;
        this.device = device;
        this.maximumRows = maximumRows;
        this.positions = positions;
        this.rotated = rotated;
        int queries = config.heads() * config.headDim();
        int keys = config.kvHeads() * config.headDim();
        residual = allocate(maximumRows, config.hidden());
        normed = allocate(maximumRows, config.hidden());
        branch = allocate(maximumRows, config.hidden());
        query = allocate(maximumRows, queries);
        key = allocate(maximumRows, keys);
        value = allocate(maximumRows, keys);
        attended = allocate(maximumRows, queries);
        gate = allocate(maximumRows, config.feedForward());
        up = allocate(maximumRows, config.feedForward());
        boolean alike = config.windowRope().equals(config.rope());
        angleTable = allocate(positions, config.rope().dimensions());
        windowAngleTable =
                alike ? angleTable : allocate(positions, config.windowRope().dimensions());
        angles = allocate(maximumRows, config.rope().dimensions());
        windowAngles =
                alike ? angles : allocate(maximumRows, config.windowRope().dimensions());
        int logitRows = Math.min(maximumRows, LOGIT_ROWS);
        picked = allocate(logitRows, config.hidden());
        logits = allocate(logitRows, config.vocabulary());
    }

    private Buffer allocate(long rows, long columns) {
        try {
            Buffer buffer = device.allocate(rows * columns * Float.BYTES);
            owned.add(buffer);
            return buffer;
        } catch (RuntimeException | Error e) {
            close(); // what was allocated before it
            throw e;
        }
    }

    /**
     * Runs a batch through all layers, appends its keys and values to the cache, and computes the logits of some rows.
     * When this returns all is under way; it has run where logits or tokens are read.
     *
     * @param ids token of each row
     * @param rows where the rows stand
     * @param logitRows rows whose logits are wanted, any number
     * @param sink receives them, in the order of {@code logitRows}
     */
    public void forward(TokenIds ids, BatchRows rows, KvStore kv, int[] logitRows, LogitsSink sink) {
        int count = rows.count();
        if (count < 1 || count > maximumRows) {
            throw new UsageException("A batch has 1 to " + maximumRows + " rows, not " + count + ".");
        }
        know(rows);
        Layers pass = layers;
        if (pass == null || pass.kv != kv) {
            pass = new Layers(kv);
            layers = pass;
        }
        device.run(pass, ids, rows);
        for (int first = 0; first < logitRows.length; first += LOGIT_ROWS) {
            int[] wanted = Arrays.copyOfRange(logitRows, first, Math.min(logitRows.length, first + LOGIT_ROWS));
            logits(wanted);
            sink.accept(first, wanted.length, logits);
        }
        device.start();
    }

    /** Writes the angles of positions that come for the first time: twice as many as before, so that it is seldom. */
    private void know(BatchRows rows) {
        int last = 0;
        for (int row = 0; row < rows.count(); row++) {
            last = Math.max(last, rows.positions()[row]);
        }
        if (last < knownAngles) {
            return;
        }
        if (last >= positions) {
            throw new UsageException("Position " + last + " is not one of " + positions + ".");
        }
        int target = Math.min(positions, Math.max(LEAST_ANGLES, Integer.highestOneBit(last) * 2));
        for (int from = knownAngles; from < target; from += LEAST_ANGLES) {
            int to = Math.min(target, from + LEAST_ANGLES);
            write(config.rope(), angleTable, from, to);
            if (windowAngleTable != angleTable) {
                write(config.windowRope(), windowAngleTable, from, to);
            }
        }
        device.start(); // alone, so that what follows is the same as without
        knownAngles = target;
    }

    private static void write(RopeFrequencies frequencies, Buffer table, int from, int to) {
        int width = frequencies.dimensions();
        float[] values = new float[(to - from) * width];
        for (int position = from; position < to; position++) {
            frequencies.angles(position, values, (position - from) * width);
        }
        table.write((long) from * width * Float.BYTES, MemorySegment.ofArray(values));
    }

    /** Looks up the rows' angles and tokens. */
    private void begin(TokenIds ids, BatchRows rows) {
        device.gatherPositions(angleTable, config.rope().dimensions(), rows, angles);
        if (windowAngles != angles) {
            device.gatherPositions(windowAngleTable, config.windowRope().dimensions(), rows, windowAngles);
        }
        LinearWeight table = weights.embedding();
        float scale = config.embeddingScale();
        switch (ids) {
            case TokenIds.Given given -> device.embed(table, given.ids(), rows.count(), scale, residual);
            case TokenIds.Chosen chosen -> device.embed(table, chosen.tokens(), rows.count(), scale, residual);
        }
    }

    /**
     * Runs one row again, layer by layer, to find where its numbers stop being finite.
     *
     * @param ids its token
     * @param row where it stands; the positions before it are in the cache
     * @return words for a message
     */
    public String firstNotFinite(int[] ids, BatchRows row, KvStore kv) {
        know(row);
        begin(new TokenIds.Given(ids), row);
        if (!finiteResidual()) {
            return "the embedding";
        }
        for (int layer = 0; layer < config.layers(); layer++) {
            attention(layer, row, kv);
            if (!finiteResidual()) {
                return "attention in layer " + layer;
            }
            feedForward(layer, 1);
            if (!finiteResidual()) {
                return "the feed-forward part of layer " + layer;
            }
        }
        return "the output matrix";
    }

    private boolean finiteResidual() {
        float[] values = new float[config.hidden()];
        residual.read(0, MemorySegment.ofArray(values));
        for (float value : values) {
            if (!Float.isFinite(value)) {
                return false;
            }
        }
        return true;
    }

    private void attention(int layer, BatchRows rows, KvStore kv) {
        Weights.Block block = weights.block(layer);
        int count = rows.count();
        int headDim = config.headDim();
        int ropeDim = config.rope(layer).dimensions();
        Buffer layerAngles = config.window(layer) == 0 ? angles : windowAngles;
        device.rmsNorm(residual, block.attentionNorm(), count, config.hidden(), config.epsilon(), normed);
        rotate(block.rotated().attention(), normed, count, config.hidden());
        device.linear(
                normed,
                count,
                new Projection(block.query(), block.queryBias(), query),
                new Projection(block.key(), block.keyBias(), key),
                new Projection(block.value(), block.valueBias(), value));
        if (block.queryNorm() != null) {
            device.rmsNorm(query, block.queryNorm(), count * config.heads(), headDim, config.epsilon(), query);
        }
        if (block.keyNorm() != null) {
            device.rmsNorm(key, block.keyNorm(), count * config.kvHeads(), headDim, config.epsilon(), key);
        }
        device.rope(
                query,
                count,
                config.heads(),
                headDim,
                ropeDim,
                config.architecture().rope(),
                layerAngles);
        device.rope(
                key,
                count,
                config.kvHeads(),
                headDim,
                ropeDim,
                config.architecture().rope(),
                layerAngles);
        if (rotated) {
            device.rotate(query, count, config.heads(), headDim);
            device.rotate(key, count, config.kvHeads(), headDim);
            device.rotate(value, count, config.kvHeads(), headDim);
        }
        device.kvAppend(kv, layer, key, value, rows);
        AttentionShape shape = new AttentionShape(
                config.heads(),
                config.kvHeads(),
                headDim,
                config.attentionScale(),
                config.attentionSoftCap(),
                config.window(layer));
        device.attention(query, kv, layer, shape, rows, attended);
        if (rotated) {
            device.rotate(attended, count, config.heads(), headDim);
        }
        rotate(block.rotated().attentionOutput(), attended, count, config.heads() * headDim);
        device.linear(attended, count, new Projection(block.attentionOutput(), block.attentionOutputBias(), branch));
        if (block.postAttentionNorm() != null) {
            device.rmsNorm(branch, block.postAttentionNorm(), count, config.hidden(), config.epsilon(), branch);
        }
        device.add(residual, branch, (long) count * config.hidden());
    }

    private void feedForward(int layer, int count) {
        Weights.Block block = weights.block(layer);
        device.rmsNorm(residual, block.feedForwardNorm(), count, config.hidden(), config.epsilon(), normed);
        rotate(block.rotated().feedForward(), normed, count, config.hidden());
        device.linear(normed, count, new Projection(block.gate(), null, gate), new Projection(block.up(), null, up));
        device.gatedActivation(config.architecture().gate(), gate, up, (long) count * config.feedForward(), gate);
        rotate(block.rotated().down(), gate, count, config.feedForward());
        device.linear(gate, count, new Projection(block.down(), null, branch));
        if (block.postFeedForwardNorm() != null) {
            device.rmsNorm(branch, block.postFeedForwardNorm(), count, config.hidden(), config.epsilon(), branch);
        }
        device.add(residual, branch, (long) count * config.hidden());
    }

    /** Rotates rows as the columns of the matrices are that they meet next. */
    private void rotate(boolean wanted, Buffer x, int count, int columns) {
        if (wanted) {
            int run = RotatedColumns.run(columns);
            device.rotate(x, count, columns / run, run);
        }
    }

    private void logits(int[] wanted) {
        device.gatherRows(residual, config.hidden(), wanted, picked);
        device.rmsNorm(picked, weights.outputNorm(), wanted.length, config.hidden(), config.epsilon(), picked);
        device.linear(picked, wanted.length, new Projection(weights.output(), null, logits));
        if (config.finalSoftCap() != 0) {
            device.softCap(logits, (long) wanted.length * config.vocabulary(), config.finalSoftCap());
        }
    }

    /** The hyperparameters. */
    public ModelConfig config() {
        return config;
    }

    /** The most rows of a batch. */
    public int maximumRows() {
        return maximumRows;
    }

    @Override
    public void close() {
        owned.forEach(Buffer::close);
    }
}
