package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.device.WeightGroup;
import org.jspecify.annotations.Nullable;

/** What mixes the positions of a sequence in a transformer block. */
sealed interface Mixer {
    /**
     * Attention. Null where the architecture has no such thing.
     *
     * @param query projection, rows heads × headDim
     * @param queryBias of it
     * @param key projection; null where keys and values are those of an earlier layer
     * @param value projection; null as {@code key} is, and where values are keys that only {@code valueNorm} changes
     * @param queryNorm RMS norm of queries
     * @param gate rows heads × headDim: the logits of what multiplies what attention returns
     * @param sinks heads: scores without a value that take part in the softmax
     * @param rotatedInput whether the input is rotated before it meets the matrices to queries, keys and values
     * @param rotatedOutput whether what attention returns is rotated before it meets {@code output}
     */
    record Attention(
            LinearWeight query,
            @Nullable Buffer queryBias,
            @Nullable LinearWeight key,
            @Nullable Buffer keyBias,
            @Nullable LinearWeight value,
            @Nullable Buffer valueBias,
            @Nullable HeadNorm queryNorm,
            @Nullable HeadNorm keyNorm,
            @Nullable HeadNorm valueNorm,
            @Nullable LinearWeight gate,
            @Nullable Buffer sinks,
            LinearWeight output,
            @Nullable Buffer outputBias,
            boolean rotatedInput,
            boolean rotatedOutput)
            implements Mixer {}

    /**
     * Latent attention (DeepSeek-AI, "DeepSeek-V2", 2024), absorbed: keys and values of all heads are matrices times
     * one latent vector a position, which is what the cache holds, beside the part of keys that is rotated. Queries are
     * multiplied by the matrices of keys, and what attention returns by those of values.
     *
     * @param compressedQuery rows queryRank; null where queries are made of the input
     * @param compressedQueryNorm RMS norm of what that returns
     * @param query rows heads × keyDim: the part of queries that is not rotated
     * @param rotatedQuery rows heads × ropeDim
     * @param latent rows rank
     * @param latentNorm RMS norm of what that returns
     * @param rotatedKey rows ropeDim: of all heads
     * @param keys of each head, rank × keyDim: the latent vector's key of a query
     * @param values of each head, valueDim × rank
     * @param output columns heads × valueDim
     */
    record LatentAttention(
            @Nullable LinearWeight compressedQuery,
            @Nullable Buffer compressedQueryNorm,
            LinearWeight query,
            LinearWeight rotatedQuery,
            LinearWeight latent,
            Buffer latentNorm,
            LinearWeight rotatedKey,
            WeightGroup keys,
            WeightGroup values,
            LinearWeight output)
            implements Mixer {}

    /**
     * A gated delta net ({@link dev.demitasse.device.Device#deltaRule}): its queries, keys and values go through a
     * causal convolution, and what it returns is normalized and gated.
     *
     * @param input rows queries, keys and values
     * @param gate rows heads × headDim: of what multiplies what is returned
     * @param beta rows heads
     * @param alpha rows heads
     * @param convolution kernel × channels
     * @param decayBias heads
     * @param decayRate heads
     * @param norm RMS norm of a head of what is returned
     */
    record DeltaNet(
            LinearWeight input,
            LinearWeight gate,
            LinearWeight beta,
            LinearWeight alpha,
            Buffer convolution,
            Buffer decayBias,
            Buffer decayRate,
            Buffer norm,
            LinearWeight output)
            implements Mixer {}

    /**
     * A selective state space (Mamba 2, {@link dev.demitasse.device.Device#selectiveScan}): its values, B and C go
     * through a causal convolution; what it returns is gated, then normalized.
     *
     * @param gate rows heads × headDim: of what multiplies what is returned
     * @param input rows values, B and C
     * @param steps rows heads
     * @param convolution kernel × channels
     * @param norm RMS norm of a row's groups: groups × (heads × headDim / groups)
     */
    record Mamba(
            LinearWeight gate,
            LinearWeight input,
            LinearWeight steps,
            Buffer convolution,
            @Nullable Buffer convolutionBias,
            ScanWeights weights,
            Buffer norm,
            LinearWeight output)
            implements Mixer {}

    /**
     * A gated short convolution (LFM2): {@code output(after x * convolution(before x * value x))}.
     *
     * @param before rows hidden: multiplies what goes into the convolution
     * @param after rows hidden: multiplies what comes out of it
     * @param value rows hidden
     * @param convolution kernel × hidden
     */
    record ShortConvolution(
            LinearWeight before, LinearWeight after, LinearWeight value, Buffer convolution, LinearWeight output)
            implements Mixer {}
}
