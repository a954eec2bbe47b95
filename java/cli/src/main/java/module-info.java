/** The {@code demitasse} command. */
module dev.demitasse.cli {
    requires com.fasterxml.jackson.core;
    requires dev.demitasse;
    requires dev.demitasse.quantize;
    requires info.picocli;
    requires org.jline;
    requires static org.jspecify;

    opens dev.demitasse.cli to
            info.picocli;
}
