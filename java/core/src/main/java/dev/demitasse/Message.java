package dev.demitasse;

import java.util.Objects;

/**
 * One message of a conversation.
 *
 * @param role {@code system}, {@code user} or {@code assistant}
 * @param content its text
 */
public record Message(String role, String content) {
    /** Checks that both are there. */
    public Message {
        Objects.requireNonNull(role, "role");
        Objects.requireNonNull(content, "content");
    }

    /** A message that sets the model's behavior. */
    public static Message system(String content) {
        return new Message("system", content);
    }

    /** A message of the person. */
    public static Message user(String content) {
        return new Message("user", content);
    }

    /** A message of the model. */
    public static Message assistant(String content) {
        return new Message("assistant", content);
    }
}
