package dev.demitasse.template;

/** A template that is malformed, uses what is not supported, raises an error, or runs into a limit. */
public final class JinjaException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    JinjaException(String message) {
        super(message);
    }

    JinjaException(String message, Throwable cause) {
        super(message, cause);
    }

    @Override
    public String getMessage() {
        return String.valueOf(super.getMessage());
    }
}
