package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.kv.KvType;
import java.util.List;
import java.util.Map;

/**
 * What a model would do on a device.
 *
 * @param device its profile
 * @param shape the model's dimensions
 * @param sentences the advice, in words
 * @param breakEvens from how many rows on other weights' products are the quicker ones
 * @param cells what each choice of weights and cache would take
 * @param storage what fits, for each choice of weights
 */
public record Advice(
        DeviceProfile device,
        ModelShape shape,
        List<String> sentences,
        List<BreakEven> breakEvens,
        List<Cell> cells,
        List<Storage> storage) {
    /**
     * From how many rows on some weights' products take less time than others'.
     *
     * @param weights the plan's name
     * @param over the other plan's
     * @param rows the fewest from which on they always do; 0 where they do not with 4,096 rows either
     */
    public record BreakEven(String weights, String over, int rows) {}

    /**
     * Memory with some weights.
     *
     * @param weights the plan's name
     * @param bytes of the weights on the device
     * @param context positions of a session
     * @param sessions of that many positions that fit beside the weights, by the type of their caches
     */
    public record Storage(String weights, long bytes, int context, Map<KvType, Long> sessions) {}
}
