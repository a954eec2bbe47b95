package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.exception.UsageException;
import dev.demitasse.testkit.Golden;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ModelsTest {
    @Test
    void namesAreThoseOfTheCatalogue() {
        assertThat(Models.names())
                .startsWith("smollm2-135m")
                .contains("qwen3-0.6b")
                .doesNotHaveDuplicates();
        assertThatThrownBy(() -> Models.fetch("nonsense"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("nonsense");
    }

    @Test
    void sessionsOfAModelOfTheCatalogueBeginAsTheCommandsDo() {
        Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"); // fetched already, or this is skipped
        try (Model model = Models.load("smollm2-135m", ModelOptions.DEFAULT.withBackend("reference"));
                Session session = model.newSession()) {
            assertThat(session.history()).containsExactly(Message.system(String.valueOf(model.system())));
            session.history(List.of());
            assertThat(session.history()).isEmpty();
        }
        try (Model model = Model.load(
                        Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"),
                        ModelOptions.DEFAULT.withBackend("reference"));
                Session session = model.newSession()) {
            assertThat(model.system()).isNull();
            assertThat(session.history()).isEmpty();
        }
    }

    @Test
    void aListenerHearsHowFarTheLoadingIs() {
        List<Long> heard = new ArrayList<>();
        ModelOptions options = ModelOptions.DEFAULT.withBackend("reference").withContextLength(64);
        try (Model model = Model.load(Golden.tiny("llama"), options, (done, total) -> {
            assertThat(done).isBetween(1L, total);
            heard.add(done);
            if (done == total) {
                heard.add(-1L);
            }
        })) {
            assertThat(model.layers()).isPositive();
            assertThat(heard).hasSizeGreaterThan(10).endsWith(-1L);
        }
    }
}
