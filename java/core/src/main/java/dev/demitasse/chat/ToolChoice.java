package dev.demitasse.chat;

/** Whether an answer that may call tools has to. */
public enum ToolChoice {
    /** As the model thinks best. */
    AUTO,
    /**
     * It is one call, whose arguments follow the tool's schema for certain: tokens that cannot go on with it are not
     * chosen, and a model that thinks does not before. Where it was cut off, a conversation is as it was before.
     */
    REQUIRED
}
