package dev.demitasse.springai.starter;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An application with the starter, in a process of its own. */
class StarterTest {
    @Test
    @Timeout(120)
    void anApplicationAnswersAndEnds() throws IOException, InterruptedException {
        Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"); // or it is skipped
        Process process = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "--add-modules",
                        "jdk.incubator.vector",
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        AskApplication.class.getName(),
                        "--spring.ai.demitasse.chat.model=smollm2-135m",
                        "--spring.ai.demitasse.chat.temperature=0"))
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(output).isZero();
        assertThat(output).contains("Answer: The capital of Italy is Rome.").contains("Loaded SmolLM2");
    }
}
