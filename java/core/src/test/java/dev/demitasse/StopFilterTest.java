package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class StopFilterTest {
    @Test
    void holdsBackWhatMayBeginAStopText() {
        StopFilter filter = new StopFilter(List.of("STOP", "\n\n"));
        assertThat(filter.append("one S")).isEqualTo("one ");
        assertThat(filter.append("T")).isEmpty();
        assertThat(filter.append("ART ")).isEqualTo("START ");
        assertThat(filter.append("two\n")).isEqualTo("two");
        assertThat(filter.append("\nthree")).isEmpty();
        assertThat(filter.stopped()).isTrue();
        assertThat(filter.finish()).isEmpty();
    }

    @Test
    void givesBackWhatItHeldAtTheEnd() {
        StopFilter filter = new StopFilter(List.of("STOP"));
        assertThat(filter.append("a STO")).isEqualTo("a ");
        assertThat(filter.finish()).isEqualTo("STO");
    }
}
