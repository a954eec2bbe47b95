package dev.demitasse.model;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Routing;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of every architecture: what differs between them are fields of {@link ModelConfig} and null weights.
 */
public final class Transformer implements AutoCloseable {
    /** Rows whose logits are computed at once; more are done in several rounds. */
    public static final int LOGIT_ROWS = 16;

    private final ModelConfig config;
    private final Weights weights;
    private final Device device;
    private final int maximumRows;
    private final DeviceBuffers buffers;

    private final Buffer residual; // rows × hidden
    private final Buffer normed; // rows × hidden
    private final Buffer branch; // rows × hidden
    private final Buffer gate; // rows × the widest feed-forward layer
    private final Buffer up; // the same
    private final @Nullable ExpertLayer experts; // where there are some
    private final @Nullable RecurrentLayer recurrent; // where layers have a state
    private final @Nullable InputLayer inputs; // where layers have inputs beside the residual stream
    private final Buffer shared; // rows × hidden, there too: of the expert that all tokens have
    private final RopeTables ropes;
    private final AttentionLayer attention;
    private final @Nullable OutputLayer output; // where logits are wanted
    private final @Nullable DraftLayer draft; // where a block drafts tokens
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
        private final List<KvStore> caches;

        Layers(List<KvStore> caches) {
            this.caches = caches;
        }

        @Override
        public LinearWeight table() {
            return weights.embedding();
        }

        @Override
        public KvStore kv() {
            return caches.getFirst();
        }

        @Override
        public void operations(TokenIds ids, BatchRows rows) {
            begin(ids, rows);
            layers(rows, caches);
        }
    }

    /**
     * What there is room for.
     *
     * @param rows that a batch has at most
     * @param positions that a sequence has at most
     * @param slots sequences that have a state at once, where layers have states: a sequence's state lies under the
     *     number of its first page of the cache, which must be below this
     * @param rotated whether the cache holds keys and values rotated
     * @param logits whether logits are computed
     */
    public record Room(int rows, int positions, int slots, boolean rotated, boolean logits) {}

    /** A transformer. It does not own device and weights. */
    public Transformer(ModelConfig config, Weights weights, Device device, Room room) {
        this.config = config;
        this.weights = weights;
        this.device = device;
        maximumRows = room.rows;
        buffers = new DeviceBuffers(device);
        try {
            residual = buffers.allocate(maximumRows, config.hidden());
            normed = buffers.allocate(maximumRows, config.hidden());
            branch = buffers.allocate(maximumRows, config.hidden());
            gate = buffers.allocate(maximumRows, weights.denseWidth());
            up = buffers.allocate(maximumRows, weights.denseWidth());
            experts = experts();
            recurrent = recurrent(room.slots);
            shared = buffers.allocate(experts == null ? 0 : maximumRows, config.hidden());
            inputs = inputs();
            ropes = new RopeTables(device, buffers, config, room.positions, maximumRows);
            attention = new AttentionLayer(device, buffers, config, ropes, room);
            output = room.logits ? new OutputLayer(device, buffers, config, Math.min(maximumRows, LOGIT_ROWS)) : null;
            draft = draft(room.logits);
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private @Nullable ExpertLayer experts() {
        Routing routing = config.routing();
        int width = weights.expertWidth();
        return routing == null || width == 0
                ? null
                : new ExpertLayer(device, buffers, config.gate(), maximumRows, config.hidden(), routing, width);
    }

    private @Nullable DraftLayer draft(boolean logits) {
        DraftLayer.Parts parts = weights.draftBlock();
        return parts == null || !logits ? null : new DraftLayer(device, buffers, config, parts, maximumRows);
    }

    private @Nullable InputLayer inputs() {
        InputLayer.Embeddings embeddings = weights.layerInputs();
        return embeddings == null ? null : new InputLayer(device, buffers, config, embeddings, maximumRows);
    }

    private @Nullable RecurrentLayer recurrent(int slots) {
        Recurrent shape = config.recurrent();
        return shape == null ? null : new RecurrentLayer(device, buffers, config, shape, maximumRows, slots);
    }

    /**
     * Runs a batch through all layers, appends its keys and values to the caches, and computes the logits of some rows.
     * When this returns all is under way; it has run where logits or tokens are read.
     *
     * @param ids token of each row
     * @param rows where the rows stand
     * @param caches one for each of {@link ModelConfig#stores}
     * @param logitRows rows whose logits are wanted, any number
     * @param sink receives them, in the order of {@code logitRows}
     */
    public void forward(TokenIds ids, BatchRows rows, List<KvStore> caches, int[] logitRows, LogitsSink sink) {
        know(rows);
        Layers pass = layers;
        if (pass == null || !pass.caches.equals(caches)) {
            pass = new Layers(caches);
            layers = pass;
        }
        device.run(pass, ids, rows);
        logits(logitRows, weights.logitNorm(), weights.output(), sink);
        device.start();
    }

    private void logits(int[] rows, @Nullable Norm norm, LinearWeight matrix, LogitsSink sink) {
        for (int first = 0; first < rows.length; first += LOGIT_ROWS) {
            int[] wanted = Arrays.copyOfRange(rows, first, Math.min(rows.length, first + LOGIT_ROWS));
            Buffer logits = Objects.requireNonNull(output).run(residual, wanted, Objects.requireNonNull(norm), matrix);
            sink.accept(first, wanted.length, logits);
        }
    }

    /** Whether a block drafts tokens. */
    public boolean drafts() {
        return draft != null;
    }

    /**
     * Runs the draft block on rows of the batch, or of the drafts, that ran last: it predicts the token behind the one
     * that follows a row. What it makes of the rows takes their place, so that drafts of drafts can follow.
     *
     * @param ids the token that follows each row
     * @param from which row of what ran last each is
     * @param ofDrafts whether that were drafts
     * @param rows where those rows stand; the positions before them have been run too
     * @param caches one for each of {@link ModelConfig#stores}
     * @param logitRows rows of these whose logits are wanted
     * @param sink receives them
     */
    public void draft(
            TokenIds ids,
            int[] from,
            boolean ofDrafts,
            BatchRows rows,
            List<KvStore> caches,
            int[] logitRows,
            LogitsSink sink) {
        DraftLayer layer = Objects.requireNonNull(draft);
        DraftLayer.Parts parts = layer.parts();
        know(rows);
        ropes.lookUp(rows);
        Norm norm = ofDrafts ? parts.norm() : Objects.requireNonNull(weights.outputNorm());
        layer.begin(ids, from, residual, norm);
        mix(parts.block(), parts.layer(), rows, caches);
        feedForward(parts.block(), rows.count());
        logits(logitRows, parts.outputNorm(), parts.output(), sink);
        device.start();
    }

    /**
     * Runs whole texts through all layers, for what becomes of their rows.
     *
     * @param ids token of each row
     * @param types which kind of text each row belongs to: 0, or 1 for the second of two; at most as many as the model
     *     knows
     * @param rows all rows of the texts
     * @param caches one for each of {@link ModelConfig#caches}
     * @return rows × hidden, before the last norm; valid until the next call
     */
    public Buffer hidden(int[] ids, int[] types, BatchRows rows, List<KvStore> caches) {
        know(rows);
        begin(new TokenIds.Given(ids), rows);
        Weights.Additions additions = weights.additions();
        add(additions.positions(), rows.positions(), rows.count());
        add(additions.types(), types, rows.count());
        if (additions.norm() != null) {
            normalize(residual, additions.norm(), rows.count(), config.residualEpsilon(), residual);
        }
        layers(rows, caches);
        return residual;
    }

    /** Adds rows of a table to the residual stream. */
    private void add(@Nullable LinearWeight table, int[] which, int count) {
        if (table != null) {
            device.embed(table, new TokenIds.Given(which), count, 1, branch);
            device.add(residual, branch, (long) count * config.hidden());
        }
    }

    private void layers(BatchRows rows, List<KvStore> caches) {
        for (int layer = 0; layer < config.layers().size(); layer++) {
            mix(weights.block(layer), config.layers().get(layer), rows, caches);
            feedForward(weights.block(layer), rows.count());
            addInput(layer, rows.count());
        }
    }

    /** Checks a batch, and writes the angles of its positions where they are not there. */
    private void know(BatchRows rows) {
        if (rows.count() < 1 || rows.count() > maximumRows) {
            throw new UsageException("A batch has 1 to " + maximumRows + " rows, not " + rows.count() + ".");
        }
        ropes.know(rows);
    }

    /** Looks up the rows' angles and tokens. */
    private void begin(TokenIds ids, BatchRows rows) {
        ropes.lookUp(rows);
        device.embed(weights.embedding(), ids, rows.count(), config.embeddingScale(), residual);
        if (inputs != null) {
            inputs.begin(ids, rows.count(), residual);
        }
    }

    /**
     * Runs one row again, layer by layer, to find where its numbers stop being finite.
     *
     * @param ids its token
     * @param row where it stands; the positions before it are in the cache
     * @return words for a message
     */
    public String firstNotFinite(int[] ids, BatchRows row, List<KvStore> caches) {
        know(row);
        begin(new TokenIds.Given(ids), row);
        if (!finiteResidual()) {
            return "the embedding";
        }
        for (int layer = 0; layer < config.layers().size(); layer++) {
            mix(weights.block(layer), config.layers().get(layer), row, caches);
            if (!finiteResidual()) {
                String mixer = switch (config.layers().get(layer).mixing()) {
                    case ATTENTION -> "attention";
                    case DELTA_NET -> "the delta net";
                    case SHORT_CONVOLUTION -> "the short convolution";
                    case MAMBA -> "the state space";
                    case NONE -> "nothing";
                };
                return mixer + " in layer " + layer;
            }
            feedForward(weights.block(layer), 1);
            if (!finiteResidual()) {
                return "the feed-forward part of layer " + layer;
            }
            addInput(layer, 1);
            if (!finiteResidual()) {
                return "the input of layer " + layer;
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

    private void mix(Weights.Block block, Layer shape, BatchRows rows, List<KvStore> caches) {
        Mixer mixer = block.mixer();
        if (mixer == null) {
            return;
        }
        Buffer input = normalized(block.mixerNorm(), rows.count());
        switch (mixer) {
            case Mixer.Attention own -> attention.run(own, shape, input, rows, caches.get(shape.cache()), branch);
            case Mixer.LatentAttention own -> attention.run(own, shape, input, rows, caches.get(shape.cache()), branch);
            case Mixer.DeltaNet net -> Objects.requireNonNull(recurrent).run(net, shape.store(), input, rows, branch);
            case Mixer.Mamba mamba -> Objects.requireNonNull(recurrent).run(mamba, shape.store(), input, rows, branch);
            case Mixer.ShortConvolution convolution ->
                Objects.requireNonNull(recurrent).run(convolution, shape.store(), input, rows, branch);
        }
        addBranch(block.postMixerNorm(), block.mixerStreamNorm(), rows.count());
    }

    private void feedForward(Weights.Block block, int count) {
        FeedForward feedForward = block.feedForward();
        if (feedForward == null) {
            return;
        }
        boolean parallel = config.architecture().traits().parallel; // its input is that of the mixer
        Buffer input = parallel ? normed : normalized(block.feedForwardNorm(), count);
        switch (feedForward) {
            case FeedForward.Dense dense -> dense(dense, input, count, branch);
            case FeedForward.Experts mixture -> mixture(mixture, input, count);
            case FeedForward.DenseAndExperts both -> denseAndExperts(both, input, count);
        }
        addBranch(block.postFeedForwardNorm(), block.streamNorm(), count);
    }

    private void mixture(FeedForward.Experts layer, Buffer input, int count) {
        ExpertLayer chosen = Objects.requireNonNull(experts);
        if (layer.shared() != null) { // first: the norm before may leave its input as integers
            dense(layer.shared(), input, count, shared);
        }
        chosen.run(layer, input, input, count, branch);
        if (layer.shared() != null) {
            chosen.addShared(layer, count, shared, branch);
        }
    }

    private void denseAndExperts(FeedForward.DenseAndExperts layer, Buffer input, int count) {
        dense(layer.dense(), input, count, branch);
        normalize(branch, layer.denseNorm(), count, config.epsilon(), branch);
        normalize(residual, layer.routerNorm(), count, config.residualEpsilon(), shared);
        normalize(residual, layer.expertsNorm(), count, config.residualEpsilon(), normed);
        Objects.requireNonNull(experts).run(layer.experts(), shared, normed, count, shared);
        normalize(shared, layer.postExpertsNorm(), count, config.epsilon(), shared);
        device.add(branch, shared, (long) count * config.hidden());
    }

    /** Adds what a layer makes of its own input, and scales the residual stream. */
    private void addInput(int layer, int count) {
        Weights.Block block = weights.block(layer);
        InputLayer.Parts input = block.input();
        if (input != null) {
            Objects.requireNonNull(inputs).run(input, layer, residual, count, branch);
            addBranch(input.norm(), null, count);
        }
        if (block.outputScale() != 1) {
            device.scale(residual, (long) count * config.hidden(), block.outputScale());
        }
    }

    private void dense(FeedForward.Dense layer, Buffer input, int count, Buffer out) {
        AttentionLayer.rotate(device, layer.rotatedInput(), input, count, config.hidden());
        List<Projection> projections = new ArrayList<>();
        AttentionLayer.project(projections, layer.gate(), layer.gateBias(), gate);
        AttentionLayer.project(projections, layer.up(), layer.upBias(), up);
        device.linear(input, count, projections.toArray(Projection[]::new));
        Buffer gating = layer.gate() == null ? up : gate;
        device.gatedActivation(config.gate(), gating, up, (long) count * layer.width(), gate);
        AttentionLayer.rotate(device, layer.rotatedProduct(), gate, count, layer.width());
        device.linear(gate, count, new Projection(layer.down(), layer.downBias(), out));
    }

    /** The residual stream as a part of a block gets it. */
    private Buffer normalized(@Nullable Norm norm, int count) {
        if (norm == null) {
            return residual;
        }
        normalize(residual, norm, count, config.residualEpsilon(), normed);
        return normed;
    }

    private void normalize(Buffer x, Norm norm, int count, float epsilon, Buffer out) {
        normalize(device, config, x, norm, count, epsilon, out);
    }

    /** Normalizes rows of the model's width. */
    static void normalize(
            Device device, ModelConfig config, Buffer x, Norm norm, int count, float epsilon, Buffer out) {
        if (config.architecture().traits().layerNorm) {
            device.layerNorm(x, norm.weight(), norm.bias(), count, config.hidden(), epsilon, out);
        } else {
            device.rmsNorm(x, norm.weight(), count, config.hidden(), epsilon, out);
        }
    }

    /**
     * Adds what a part of a block returned to the residual stream.
     *
     * @param norm of that, or null
     * @param streamNorm of the sum, or null
     */
    private void addBranch(@Nullable Norm norm, @Nullable Norm streamNorm, int count) {
        if (norm != null) {
            normalize(branch, norm, count, config.epsilon(), branch);
        }
        device.add(residual, branch, (long) count * config.hidden());
        if (streamNorm != null) {
            normalize(residual, streamNorm, count, config.residualEpsilon(), residual);
        }
    }

    /** The hyperparameters. */
    public ModelConfig config() {
        return config;
    }

    /** Whether sequences have states, which go on with every row that is run and cannot be cut back. */
    public boolean hasStates() {
        return recurrent != null;
    }

    /** Keeps the state of the sequence whose first page has that number. */
    public void saveState(KeptState as, int slot) {
        Objects.requireNonNull(recurrent).save(as, slot);
    }

    /** Makes a sequence's state what it was when it was kept last. */
    public void restoreState(KeptState from, int slot) {
        Objects.requireNonNull(recurrent).restore(from, slot);
    }

    /**
     * Makes the state of the sequence whose first page is {@code to} what that of another is.
     *
     * @param source what is kept of the other's state and is copied in its place, or null
     * @param kept what is kept of it and copied, too
     * @param from the other's first page
     */
    public void forkState(@Nullable KeptState source, Set<KeptState> kept, int from, int to) {
        Objects.requireNonNull(recurrent).fork(source, kept, from, to);
    }

    /** Bytes of a sequence's state; 0 where there is none. */
    public long stateBytes() {
        return recurrent == null ? 0 : recurrent.stateBytes();
    }

    /** Copies a sequence's state, or what is kept of it, to the host. */
    public void readState(@Nullable KeptState copy, int slot, MemorySegment target) {
        Objects.requireNonNull(recurrent).read(copy, slot, target);
    }

    /** Makes a sequence's state, or what is kept of it, what {@link #readState} gave. */
    public void writeState(@Nullable KeptState copy, int slot, MemorySegment source) {
        Objects.requireNonNull(recurrent).write(copy, slot, source);
    }

    /** The most rows of a batch. */
    public int maximumRows() {
        return maximumRows;
    }

    @Override
    public void close() {
        buffers.close();
    }
}
