package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;

/** What is wrong with a JSON Schema. */
final class SchemaFault {
    private SchemaFault() {}

    /** An error at a place of the schema, as a JSON pointer (RFC 6901). */
    static UsageException at(String place, String problem) {
        return new UsageException("The JSON schema " + problem + ", at " + (place.isEmpty() ? "its top" : place) + ".");
    }

    /** A keyword that is not supported. */
    static UsageException unsupported(String place, String keyword, String instead) {
        return at(place, "has \"" + keyword + "\", which is not supported" + (instead.isEmpty() ? "" : "; " + instead));
    }
}
