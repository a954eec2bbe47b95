package dev.demitasse.springai.starter;

import org.springframework.ai.chat.client.ChatClient;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;

/** Asks one question. */
@SpringBootApplication
public class AskApplication {
    /** Starts it. */
    public static void main(String[] arguments) {
        SpringApplication.run(AskApplication.class, arguments);
    }

    @Bean
    CommandLineRunner ask(ChatClient.Builder builder) {
        ChatClient client = builder.build();
        return arguments -> System.out.println("Answer: "
                + client.prompt("What is the capital of Italy?").call().content());
    }
}
