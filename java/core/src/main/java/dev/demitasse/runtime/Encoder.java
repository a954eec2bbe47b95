package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Pooler;
import dev.demitasse.model.Transformer;
import dev.demitasse.model.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Runs whole texts through a model, as many at once as fit a batch: nothing is padded, and nothing is kept of them. It
 * does not own device and weights, and belongs to one thread at a time.
 */
public final class Encoder implements AutoCloseable {
    private static final int MOST_TEXTS = 256; // of a batch

    private final int batchRows;
    private final List<KvStore> stores = new ArrayList<>();
    private final Transformer transformer;
    private final Pooler pooler;

    /**
     * The tokens of a text.
     *
     * @param types of each, the kind of text that it belongs to: 0, or 1 for the second of two
     */
    public record Input(int[] ids, int[] types) {
        /** A text of its own. */
        public Input(int[] ids) {
            this(ids, new int[ids.length]);
        }
    }

    /**
     * An encoder.
     *
     * @param batchRows tokens of a batch, and of a text, at most
     * @param kvType how keys and values of a batch are stored
     * @param rotated whether they are stored rotated
     */
    public Encoder(
            ModelConfig config,
            Weights weights,
            Device device,
            Pooling pooling,
            int batchRows,
            KvType kvType,
            boolean rotated) {
        if ((long) batchRows * config.hidden() > Integer.MAX_VALUE) {
            throw new UsageException("A batch of " + batchRows + " tokens of " + config.hidden()
                    + " numbers each is too large; take fewer tokens a batch.");
        }
        this.batchRows = batchRows;
        int texts = Math.min(batchRows, MOST_TEXTS);
        int pages = KvCache.pagesFor(batchRows) + texts; // each text may leave one that is not full
        Transformer made = null;
        try {
            for (ModelConfig.KvLayers cache : config.caches()) {
                stores.add(device.allocateKv(
                        new KvShape(cache.layers(), cache.kvHeads(), cache.headDim(), pages, kvType)));
            }
            made = new Transformer(
                    config, weights, device, new Transformer.Room(batchRows, batchRows, pages, rotated, false));
            pooler = new Pooler(device, config, weights, pooling, texts);
        } catch (RuntimeException | Error e) {
            stores.forEach(KvStore::close);
            if (made != null) {
                made.close();
            }
            throw e;
        }
        transformer = made;
    }

    /** Numbers of an embedding, or scores of a text. */
    public int dimension() {
        return pooler.dimension();
    }

    /**
     * The embeddings, or scores, of texts, in their order.
     *
     * @param inputs each of 1 to the batch's rows
     * @throws NumericalException where one is not finite
     */
    public float[][] run(List<Input> inputs) {
        float[][] results = new float[inputs.size()][];
        for (int first = 0; first < inputs.size(); ) {
            int count = inputs.get(first).ids.length;
            int last = first + 1;
            while (last < inputs.size()
                    && last - first < MOST_TEXTS
                    && count + inputs.get(last).ids.length <= batchRows) {
                count += inputs.get(last++).ids.length;
            }
            float[][] batch = run(inputs.subList(first, last), count);
            System.arraycopy(batch, 0, results, first, batch.length);
            first = last;
        }
        return results;
    }

    private float[][] run(List<Input> inputs, int count) {
        int[] ids = new int[count];
        int[] types = new int[count];
        int[] positions = new int[count];
        int[][] tables = new int[count][];
        int[] starts = new int[inputs.size() + 1];
        int page = 0;
        for (int i = 0; i < inputs.size(); i++) {
            int[] text = inputs.get(i).ids;
            int at = starts[i];
            int[] table = new int[KvCache.pagesFor(text.length)];
            for (int p = 0; p < table.length; p++) {
                table[p] = page++;
            }
            System.arraycopy(text, 0, ids, at, text.length);
            System.arraycopy(inputs.get(i).types, 0, types, at, text.length);
            for (int p = 0; p < text.length; p++) {
                positions[at + p] = p;
            }
            Arrays.fill(tables, at, at + text.length, table);
            starts[i + 1] = at + text.length;
        }
        Buffer hidden = transformer.hidden(ids, types, new BatchRows(count, positions, tables), stores);
        float[][] results = pooler.pool(hidden, starts);
        for (int i = 0; i < results.length; i++) {
            for (float value : results[i]) {
                if (!Float.isFinite(value)) {
                    throw new NumericalException("The embedding of text " + i + " of a batch is not finite; the model's"
                            + " numbers leave the range that the device computes in, or its file is damaged.");
                }
            }
        }
        return results;
    }

    @Override
    public void close() {
        transformer.close();
        pooler.close();
        stores.forEach(KvStore::close);
    }
}
