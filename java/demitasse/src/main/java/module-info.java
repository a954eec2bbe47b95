/** The public API with the devices of processors: what an application needs to run a model without a GPU. */
module dev.demitasse.cpus {
    requires transitive dev.demitasse;
    requires dev.demitasse.nativecpu;
    requires dev.demitasse.vector;
    requires jdk.incubator.vector; // or the Vector API's device needs a flag on the module path, too
}
