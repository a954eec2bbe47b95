/** Models of LangChain4j that run in the process. */
module dev.demitasse.langchain4j {
    requires transitive dev.demitasse;
    requires dev.demitasse.cpus;
    requires transitive langchain4j.core; // an automatic module
    requires static org.jspecify;

    exports dev.demitasse.langchain4j;
}
