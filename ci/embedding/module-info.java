/** An application that embeds Demitasse by its one dependency. */
module app {
    requires dev.demitasse.cpus;
}
