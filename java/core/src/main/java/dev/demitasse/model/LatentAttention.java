package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.UsageException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes the queries and keys of latent attention, and its results of what attention returns. The matrices of heads are
 * multiplied as those of experts are: the rows of a head lie behind each other. Vectors are joined and cut by moving
 * pieces of them, as long as the greatest common divisor of their parts.
 */
final class LatentAttention {
    private final Device device;
    private final Latent shape;
    private final int heads;
    private final float epsilon;
    private final int piece; // elements
    private final int latentPieces; // of a latent vector
    private final int rotatedPieces; // of the part that is rotated
    private final Buffer compressed; // rows × queryRank
    private final Buffer query; // rows × heads × keyDim
    private final Buffer rotatedQuery; // rows × heads × ropeDim
    private final Buffer latent; // rows × rank
    private final Buffer rotatedKey; // rows × ropeDim
    private final Buffer byHead; // heads × rows × the widest of keyDim, rank and valueDim
    private final Buffer parts; // latent vectors, then what is rotated: rows × heads × (rank + ropeDim)
    private final Buffer values; // heads × rows × valueDim
    private @Nullable Places places; // of the batch before, which has mostly as many rows

    /** Room for the rows of a batch. */
    LatentAttention(Device device, DeviceBuffers buffers, ModelConfig config, Latent shape, int maximumRows) {
        this.device = device;
        this.shape = shape;
        this.heads = config.heads();
        this.epsilon = config.epsilon();
        long all = (long) maximumRows * heads;
        int widest = Math.max(shape.headDim(), Math.max(shape.keyDim(), shape.valueDim()));
        if (all * widest > Integer.MAX_VALUE) {
            throw new UsageException("A batch of " + maximumRows + " rows with " + heads + " heads of " + widest
                    + " numbers is too large; take fewer rows a batch.");
        }
        piece = BigInteger.valueOf(shape.rank())
                .gcd(BigInteger.valueOf(shape.ropeDim()))
                .intValue();
        latentPieces = shape.rank() / piece;
        rotatedPieces = shape.ropeDim() / piece;
        compressed = buffers.allocate(maximumRows, shape.queryRank());
        query = buffers.allocate(all, shape.keyDim());
        rotatedQuery = buffers.allocate(all, shape.ropeDim());
        latent = buffers.allocate(maximumRows, shape.rank());
        rotatedKey = buffers.allocate(maximumRows, shape.ropeDim());
        byHead = buffers.allocate(all, Math.max(shape.keyDim(), Math.max(shape.rank(), shape.valueDim())));
        parts = buffers.allocate(all, shape.headDim());
        values = buffers.allocate(all, shape.valueDim());
    }

    /**
     * Makes queries and keys, each a latent vector and a part that is rotated.
     *
     * @param x count × hidden
     * @param rope which of {@link ModelConfig#ropes} rotates them, or {@link Layer#NO_ROPE}
     * @param queries receives count × heads × (rank + ropeDim)
     * @param keys receives count × (rank + ropeDim)
     */
    void project(
            Mixer.LatentAttention layer, RopeTables ropes, int rope, Buffer x, int count, Buffer queries, Buffer keys) {
        List<Projection> ofInput = new ArrayList<>(List.of(
                new Projection(layer.latent(), null, latent), new Projection(layer.rotatedKey(), null, rotatedKey)));
        Projection plain = new Projection(layer.query(), null, query);
        Projection rotated = new Projection(layer.rotatedQuery(), null, rotatedQuery);
        if (layer.compressedQuery() == null || layer.compressedQueryNorm() == null) {
            ofInput.addAll(List.of(plain, rotated));
            device.linear(x, count, ofInput.toArray(Projection[]::new));
        } else {
            ofInput.add(new Projection(layer.compressedQuery(), null, compressed));
            device.linear(x, count, ofInput.toArray(Projection[]::new));
            device.rmsNorm(compressed, layer.compressedQueryNorm(), count, shape.queryRank(), epsilon, compressed);
            device.linear(compressed, count, plain, rotated);
        }
        ropes.rotate(rope, rotatedQuery, count, heads, shape.ropeDim());
        ropes.rotate(rope, rotatedKey, count, 1, shape.ropeDim());
        Places at = places(count);
        if (count > 1) {
            device.gatherRows(query, shape.keyDim(), at.byHead, byHead);
        }
        Buffer grouped = count > 1 ? byHead : query;
        device.groupedLinear(grouped, at.starts, new GroupedProjection(layer.keys(), parts));
        join(rotatedQuery, count * heads, at.queries, queries);
        device.rmsNorm(latent, layer.latentNorm(), count, shape.rank(), epsilon, parts);
        join(rotatedKey, count, at.keys, keys);
    }

    /** Puts together the latent vectors that lie in {@link #parts}, and what is rotated. */
    private void join(Buffer rotated, int vectors, int[] pieces, Buffer out) {
        int[] all = new int[vectors * rotatedPieces];
        Arrays.setAll(all, i -> i);
        device.gatherRows(rotated, piece, all, parts, vectors * latentPieces);
        device.gatherRows(parts, piece, pieces, out);
    }

    /**
     * Makes the layer's results of what attention returns.
     *
     * @param attended count × heads × (rank + ropeDim): latent vectors, and what is not used
     * @param out receives count × hidden
     */
    void output(Mixer.LatentAttention layer, Buffer attended, int count, Buffer out) {
        Places at = places(count);
        device.gatherRows(attended, piece, at.latents, byHead);
        device.groupedLinear(byHead, at.starts, new GroupedProjection(layer.values(), values));
        if (count > 1) {
            device.gatherRows(values, shape.valueDim(), at.byRow, byHead);
        }
        device.linear(count > 1 ? byHead : values, count, new Projection(layer.output(), null, out));
    }

    private Places places(int count) {
        Places known = places;
        if (known == null || known.count != count) {
            known = new Places(count);
            places = known;
        }
        return known;
    }

    /** Where rows and pieces lie before they are moved, by where they lie then. */
    private final class Places {
        final int count;
        final int[] starts = new int[heads + 1]; // of each head's rows
        final int[] byHead; // rows of heads of rows of a batch
        final int[] byRow; // the other way round
        final int[] queries; // pieces of latent vectors by head and of rotated parts, as queries have them
        final int[] keys;
        final int[] latents; // pieces of what attention returns, as latent vectors by head

        Places(int count) {
            this.count = count;
            int rows = count * heads;
            byHead = new int[rows];
            byRow = new int[rows];
            latents = new int[rows * latentPieces];
            int pieces = latentPieces + rotatedPieces;
            for (int head = 0; head < heads; head++) {
                starts[head + 1] = (head + 1) * count;
                for (int row = 0; row < count; row++) {
                    int grouped = head * count + row;
                    int plain = row * heads + head;
                    byHead[grouped] = plain;
                    byRow[plain] = grouped;
                    for (int i = 0; i < latentPieces; i++) {
                        latents[grouped * latentPieces + i] = plain * pieces + i;
                    }
                }
            }
            queries = joined(byRow);
            int[] own = new int[count];
            Arrays.setAll(own, i -> i);
            keys = joined(own);
        }

        /**
         * Of each vector the pieces of its latent vector, and those of its rotated part behind all latent vectors.
         *
         * @param latentOf which latent vector is each one's
         */
        private int[] joined(int[] latentOf) {
            int pieces = latentPieces + rotatedPieces;
            int[] joined = new int[latentOf.length * pieces];
            for (int v = 0; v < latentOf.length; v++) {
                for (int i = 0; i < pieces; i++) {
                    joined[v * pieces + i] = i < latentPieces
                            ? latentOf[v] * latentPieces + i
                            : latentOf.length * latentPieces + v * rotatedPieces + i - latentPieces;
                }
            }
            return joined;
        }
    }
}
