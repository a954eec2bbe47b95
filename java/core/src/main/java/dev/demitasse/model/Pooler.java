package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Projection;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.ModelFormatException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Makes embeddings or scores of texts from what became of their rows. */
public final class Pooler implements AutoCloseable {
    private static final int READ_ELEMENTS = 1 << 18; // at once

    private final Device device;
    private final ModelConfig config;
    private final Weights weights;
    private final List<Weights.Dense> head;
    private final Pooling pooling;
    private final DeviceBuffers buffers;
    private final List<Buffer> stages = new ArrayList<>(); // texts × columns: pooled, and after each matrix of the head
    private final float[] rows; // some of a text, where they are read

    /**
     * Room for so many texts.
     *
     * @param pooling not {@link Pooling#NONE}
     * @throws ModelFormatException where scores are wanted and the file has no classifier
     */
    public Pooler(Device device, ModelConfig config, Weights weights, Pooling pooling, int texts) {
        this.device = device;
        this.config = config;
        this.weights = weights;
        this.head = weights.head(pooling);
        this.pooling = pooling;
        buffers = new DeviceBuffers(device);
        rows = new float[pooling == Pooling.MEAN ? Math.max(1, READ_ELEMENTS / config.hidden()) * config.hidden() : 0];
        if (pooling == Pooling.RANK) {
            weights.requireClassifier(config);
        }
        try {
            stages.add(buffers.allocate(texts, config.hidden()));
            for (Weights.Dense dense : head) {
                stages.add(buffers.allocate(texts, dense.matrix().rows()));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /** Numbers of an embedding, or scores of a text. */
    public int dimension() {
        return head.isEmpty() ? config.hidden() : head.getLast().matrix().rows();
    }

    /**
     * The embeddings of a batch's texts, not normalized; of scores, if there are several, their softmax.
     *
     * @param x rows × hidden, before the model's last norm; it is changed
     * @param starts where each text's rows begin, and where the last one's end
     * @return a row a text
     */
    public float[][] pool(Buffer x, int[] starts) {
        int texts = starts.length - 1;
        boolean first = pooling == Pooling.CLS || pooling == Pooling.RANK && !config.causal();
        if (pooling == Pooling.MEAN) {
            means(x, starts);
        } else {
            int[] picked = new int[texts];
            for (int i = 0; i < texts; i++) {
                picked[i] = first ? starts[i] : starts[i + 1] - 1;
            }
            device.gatherRows(x, config.hidden(), picked, stages.getFirst());
            normalize(stages.getFirst(), texts);
        }
        Buffer last = stages.getFirst();
        for (int i = 0; i < head.size(); i++) {
            Weights.Dense dense = head.get(i);
            Buffer next = stages.get(i + 1);
            device.linear(last, texts, new Projection(dense.matrix(), dense.bias(), next));
            if (dense.tanh()) {
                device.softCap(next, (long) texts * dense.matrix().rows(), 1);
            }
            last = next;
        }
        float[] all = new float[texts * dimension()];
        last.read(0, MemorySegment.ofArray(all));
        float[][] result = new float[texts][];
        for (int i = 0; i < texts; i++) {
            result[i] = Arrays.copyOfRange(all, i * dimension(), (i + 1) * dimension());
            if (pooling == Pooling.RANK && dimension() > 1) {
                softmax(result[i]);
            }
        }
        return result;
    }

    private void normalize(Buffer x, int count) {
        Norm norm = weights.outputNorm();
        if (norm != null) {
            Transformer.normalize(device, config, x, norm, count, config.residualEpsilon(), x);
        }
    }

    /** On the host, some rows at a time: of short texts, reading their rows is little beside computing them. */
    private void means(Buffer x, int[] starts) {
        int hidden = config.hidden();
        normalize(x, starts[starts.length - 1]);
        double[] sums = new double[hidden];
        float[] mean = new float[hidden];
        for (int text = 0; text + 1 < starts.length; text++) {
            Arrays.fill(sums, 0);
            int end = starts[text + 1];
            for (int first = starts[text]; first < end; first += rows.length / hidden) {
                int count = Math.min(end - first, rows.length / hidden);
                x.read(
                        (long) first * hidden * Float.BYTES,
                        MemorySegment.ofArray(rows).asSlice(0, (long) count * hidden * Float.BYTES));
                for (int i = 0; i < count * hidden; i += hidden) {
                    for (int c = 0; c < hidden; c++) {
                        sums[c] += rows[i + c];
                    }
                }
            }
            for (int c = 0; c < hidden; c++) {
                mean[c] = (float) (sums[c] / (end - starts[text]));
            }
            stages.getFirst().write((long) text * hidden * Float.BYTES, MemorySegment.ofArray(mean));
        }
    }

    private static void softmax(float[] x) {
        double largest = Float.NEGATIVE_INFINITY;
        for (float value : x) {
            largest = Math.max(largest, value);
        }
        double sum = 0;
        for (float value : x) {
            sum += Math.exp(value - largest);
        }
        for (int i = 0; i < x.length; i++) {
            x[i] = (float) (Math.exp(x[i] - largest) / sum);
        }
    }

    @Override
    public void close() {
        buffers.close();
    }
}
