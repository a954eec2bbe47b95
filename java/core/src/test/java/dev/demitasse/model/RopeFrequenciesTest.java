package dev.demitasse.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class RopeFrequenciesTest {
    /** A cache of other angles is another one: by it a saved session is told. */
    @Test
    void signaturesTellAnglesApart() {
        RopeFrequencies plain = RopeFrequencies.plain(16, 10_000);
        assertThat(plain.signature())
                .isEqualTo(RopeFrequencies.plain(16, 10_000).signature());
        assertThat(Stream.of(
                                plain,
                                RopeFrequencies.plain(16, 20_000),
                                RopeFrequencies.plain(18, 10_000),
                                RopeFrequencies.none(16),
                                plain.withMagnitude(1.19f))
                        .map(RopeFrequencies::signature))
                .doesNotHaveDuplicates();
    }
}
