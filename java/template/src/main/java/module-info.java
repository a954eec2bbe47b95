/**
 * Chat templates: a hardened engine for the part of Jinja2 that they use. Nothing numerical, and nothing of
 * Demitasse's.
 */
@SuppressWarnings("module") // those it is exported to are compiled later
module dev.demitasse.template {
    requires com.fasterxml.jackson.core;
    requires static transitive org.jspecify;

    exports dev.demitasse.template to
            dev.demitasse;
}
