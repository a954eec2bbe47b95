package dev.demitasse.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import dev.demitasse.micrometer.DemitasseMetrics;
import dev.demitasse.testkit.Golden;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.client.AdvisorParams;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.tokenizer.TokenCountEstimator;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

/** Applications of Spring Boot, started with nothing but properties. */
@Timeout(120)
class SpringApplicationTest {
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {}

    private static ConfigurableApplicationContext start(String... properties) {
        return new SpringApplicationBuilder(Application.class)
                .web(WebApplicationType.NONE)
                .logStartupInfo(false)
                .properties(properties)
                .run();
    }

    record City(String name, int letters) {}

    @Test
    void aChatClientAnswersInTextInPiecesAndInRecords() {
        Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"); // or it is skipped
        String name = "smollm2-135m";
        try (ConfigurableApplicationContext context = start(
                "spring.ai.demitasse.chat.model=" + name,
                "spring.ai.demitasse.chat.temperature=0",
                "spring.ai.demitasse.chat.max-tokens=24",
                "spring.ai.demitasse.chat.context-length=1024")) {
            ChatClient client = context.getBean(ChatClient.Builder.class).build();
            String question = "What is the capital of Italy?";
            ChatResponse whole =
                    Objects.requireNonNull(client.prompt(question).call().chatResponse());
            String text = Objects.requireNonNull(whole.getResult()).getOutput().getText();
            assertThat(text).contains("Rome");
            assertThat(whole.getMetadata().getModel()).isEqualTo(name);
            assertThat(whole.getMetadata().getUsage().getPromptTokens()).isPositive();
            List<String> pieces =
                    client.prompt(question).stream().content().collectList().block();
            assertThat(pieces).hasSizeGreaterThan(2);
            assertThat(String.join("", pieces)).isEqualTo(text);
            City city = client.prompt("Rome has how many letters?")
                    .advisors(AdvisorParams.ENABLE_NATIVE_STRUCTURED_OUTPUT)
                    .options(DemitasseChatOptions.builder().maxTokens(200))
                    .call()
                    .entity(City.class);
            assertThat(city).isNotNull();
            assertThat(context.getBean(TokenCountEstimator.class).estimate("Hello there"))
                    .isEqualTo(2);
            assertThat(context.getBeansOfType(DemitasseMetrics.class)).hasSize(1);
        }
    }

    @Test
    void anEncoderMakesVectorsAndIsClosedWithTheApplication() {
        dev.demitasse.EmbeddingModel encoder;
        try (ConfigurableApplicationContext context =
                start("spring.ai.demitasse.embedding.model=" + Golden.embedding("bert-mean"))) {
            encoder = context.getBean(dev.demitasse.EmbeddingModel.class);
            EmbeddingModel model = context.getBean(EmbeddingModel.class);
            assertThat(model.embed(List.of("one", "two"))).containsExactly(encoder.embed(List.of("one", "two")));
            assertThat(model.dimensions()).isEqualTo(encoder.dimension());
            assertThat(context.getBeansOfType(ChatModel.class)).isEmpty();
        }
        assertThatThrownBy(() -> encoder.embed("three")).isInstanceOf(UsageException.class);
    }

    @Test
    void withoutAModelThereAreNoBeans() {
        try (ConfigurableApplicationContext context = start()) {
            assertThat(context.getBeansOfType(Model.class)).isEmpty();
            assertThat(context.getBeansOfType(ChatModel.class)).isEmpty();
            assertThat(context.getBeansOfType(EmbeddingModel.class)).isEmpty();
        }
    }

    @Test
    void anotherProviderOfChatsMayBeNamed() {
        try (ConfigurableApplicationContext context =
                start("spring.ai.demitasse.chat.model=" + Golden.tiny("llama"), "spring.ai.model.chat=other")) {
            assertThat(context.getBeansOfType(Model.class)).hasSize(1);
            assertThat(context.getBeansOfType(ChatModel.class)).isEmpty();
        }
    }

    @Test
    void aModelThatIsNotThereStopsTheStart() {
        assertThatThrownBy(() -> start(
                        "spring.ai.demitasse.chat.model=qwen3-8b", "spring.ai.demitasse.pull-model-strategy=never"))
                .rootCause()
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("qwen3-8b is not here yet");
        assertThatThrownBy(() -> start("spring.ai.demitasse.chat.model=nothing-of-that-name"))
                .rootCause()
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("nothing-of-that-name");
    }

    @Test
    void propertiesBecomeOptions() {
        try (ConfigurableApplicationContext context = start(
                "spring.ai.demitasse.backend=reference",
                "spring.ai.demitasse.chat.model=" + Golden.tiny("llama"),
                "spring.ai.demitasse.chat.context-length=64",
                "spring.ai.demitasse.chat.kv-type=int8",
                "spring.ai.demitasse.chat.top-k=7",
                "spring.ai.demitasse.chat.min-p=0.25",
                "spring.ai.demitasse.chat.seed=5",
                "spring.ai.demitasse.chat.stop=a,b")) {
            Model model = context.getBean(Model.class);
            assertThat(model.backend()).isEqualTo("reference");
            assertThat(model.contextLength()).isEqualTo(64);
            DemitasseChatOptions options =
                    context.getBean(DemitasseChatModel.class).getOptions();
            assertThat(options.getTopK()).isEqualTo(7);
            assertThat(options.getMinP()).isEqualTo(0.25);
            assertThat(options.getSeed()).isEqualTo(5);
            assertThat(options.getStopSequences()).containsExactly("a", "b");
        }
    }
}
