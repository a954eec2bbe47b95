package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.TensorType;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WeightMixTest {
    private static TensorType type(WeightMix mix, String name, int layers, long columns) {
        WeightMix.Place place = new WeightMix.Place(TensorRole.layer(name), layers, 1, false);
        return mix.typeOf(TensorRole.of(name), place, true, columns);
    }

    /** What llama-quantize makes of a model with 32 layers. */
    @Test
    void layersOfMoreBitsAreLlamaCppsOwn() {
        List<Integer> six = IntStream.range(0, 32)
                .filter(layer ->
                        type(WeightMix.Q4_K_M, "blk." + layer + ".ffn_down.weight", 32, 4096) == TensorType.Q6_K)
                .boxed()
                .toList();
        assertThat(six).containsExactly(0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31);
    }

    @ParameterizedTest
    @CsvSource({
        "Q4_K_M, token_embd.weight, Q6_K",
        "Q4_K_M, blk.5.attn_q.weight, Q4_K",
        "Q4_K_M, blk.5.attn_v.weight, Q4_K",
        "Q4_K_M, blk.6.attn_v.weight, Q6_K",
        "Q4_K_S, blk.3.attn_v.weight, Q5_K",
        "Q4_K_S, blk.4.attn_v.weight, Q4_K",
        "Q5_K_S, blk.0.attn_v.weight, Q5_K",
        "Q3_K_M, blk.1.attn_output.weight, Q4_K",
        "Q3_K_M, blk.1.attn_v.weight, Q5_K",
        "Q3_K_L, blk.9.ffn_down.weight, Q5_K",
        "Q2_K, blk.9.ffn_up.weight, Q2_K",
        "Q2_K, blk.9.ffn_down.weight, Q3_K",
        "Q8_0, token_embd.weight, Q8_0",
        "Q4_0, token_embd.weight, Q6_K",
        "IQ4_NL, blk.0.ffn_down.weight, Q5_K",
        "F16, token_embd.weight, F16"
    })
    void mixesChooseAsLlamaCppDoes(WeightMix mix, String name, TensorType expected) {
        assertThat(type(mix, name, 32, 4096)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "Q4_K, 576, Q5_0",
        "Q5_K, 576, Q5_1",
        "Q6_K, 576, Q8_0",
        "Q2_K, 576, Q4_0",
        "IQ4_XS, 576, IQ4_NL",
        "Q4_K, 100, F16",
        "Q4_0, 100, F16",
        "Q4_K, 512, Q4_K"
    })
    void aTypeWhoseBlockDoesNotDivideTheRowsGivesWay(TensorType type, long columns, TensorType expected) {
        assertThat(WeightMix.fitting(type, columns)).isEqualTo(expected);
    }

    @Test
    void namesAreFoundInAnyCaseAndUnknownOnesAreRefused() {
        assertThat(WeightMix.named("q4_k_m")).isEqualTo(WeightMix.Q4_K_M);
        assertThat(WeightMix.named("Q4_K")).isEqualTo(WeightMix.Q4_K_M);
        assertThat(WeightMix.named("q8_0")).isEqualTo(WeightMix.Q8_0);
        assertThatThrownBy(() -> WeightMix.named("q7_0"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("Q4_K_M");
    }
}
