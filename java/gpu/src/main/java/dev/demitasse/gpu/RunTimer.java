package dev.demitasse.gpu;

/** How long what is launched between two calls takes on a GPU, gaps included. For one use. */
public interface RunTimer {
    /** Before the launches. */
    void begin();

    /** After the launches. */
    void end();

    /** The time, once the launches have been waited for. */
    double microseconds();
}
