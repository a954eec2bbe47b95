/** What GPU devices share: weights in tiles, the list of typed steps and its fusions, the tables of a batch. */
@SuppressWarnings("module") // those it is exported to are compiled later
module dev.demitasse.gpu {
    requires jdk.jfr;
    requires static transitive org.jspecify;
    requires transitive dev.demitasse;

    exports dev.demitasse.gpu to
            dev.demitasse.cuda,
            dev.demitasse.opencl;
}
