package dev.demitasse.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What is told of files of families that do not run. */
class UnsupportedArchitecturesTest {
    private static final List<String> SUPPORTED =
            Arrays.stream(Architecture.values()).map(Architecture::key).toList();

    static Set<String> known() {
        return UnsupportedArchitectures.known();
    }

    @ParameterizedTest
    @MethodSource("known")
    void aRefusalNamesTheFamilyWhatItNeedsAndTheNearestThatWorks(String name) {
        assertThat(SUPPORTED).as("what is refused does not run").doesNotContain(name);
        String message = String.valueOf(UnsupportedArchitectures.refusal(name).getMessage());
        assertThat(message).contains("\"" + name + "\"").contains("it needs ");
        assertThat(SUPPORTED).anyMatch(nearest -> message.contains("The nearest that is: " + nearest + "."));
    }

    @Test
    void aRefusalOfWhatNobodyKnowsNamesAllThatWork() {
        String message =
                String.valueOf(UnsupportedArchitectures.refusal("of-tomorrow").getMessage());
        assertThat(message).contains("\"of-tomorrow\"");
        assertThat(SUPPORTED).allMatch(message::contains);
    }
}
