package app;

import org.springframework.ai.chat.client.ChatClient;
import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;

/** The same in an application of Spring Boot, which also asks the chat client that the starter has made. */
@SpringBootApplication
public class BootMain {
    /** Arguments: those of {@link Main}, and properties. */
    public static void main(String[] args) {
        SpringApplication.run(BootMain.class, args).close();
    }

    @Bean
    ApplicationRunner ask(ChatClient.Builder client) {
        return arguments -> {
            Main.main(arguments.getNonOptionArgs().toArray(String[]::new));
            String answer = client.build().prompt("hello").call().content();
            System.out.println("chat: " + (answer == null ? "nothing" : "answered"));
        };
    }
}
