/** What CPU devices share: panels of packed weights, host buffers, the number of cores. */
@SuppressWarnings("module") // those it is exported to are compiled later
module dev.demitasse.cpu {
    requires static transitive org.jspecify;
    requires transitive dev.demitasse;

    exports dev.demitasse.cpu to
            dev.demitasse.nativecpu,
            dev.demitasse.vector;
}
