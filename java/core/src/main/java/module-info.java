/** The public API, the file formats, the tokenizers, the forward pass and the reference device. */
@SuppressWarnings("module") // those it is exported to are compiled later
module dev.demitasse {
    requires com.fasterxml.jackson.core;
    requires dev.demitasse.template;
    requires java.management;
    requires java.net.http;
    requires jdk.jfr;
    requires jdk.management;
    requires static transitive org.jspecify;

    exports dev.demitasse;
    exports dev.demitasse.chat;
    exports dev.demitasse.device;
    exports dev.demitasse.embedding;
    exports dev.demitasse.exception;
    exports dev.demitasse.gguf;
    exports dev.demitasse.kv;
    exports dev.demitasse.quant;
    exports dev.demitasse.safetensors;
    exports dev.demitasse.sampling;
    exports dev.demitasse.tokenizer;
    exports dev.demitasse.fetch to
            dev.demitasse.cli;
    exports dev.demitasse.json to
            dev.demitasse.langchain4j;
    exports dev.demitasse.memory to
            dev.demitasse.cli,
            dev.demitasse.cpu,
            dev.demitasse.cuda,
            dev.demitasse.gpu,
            dev.demitasse.nativecpu,
            dev.demitasse.opencl,
            dev.demitasse.vector;

    uses dev.demitasse.device.Backend;

    provides dev.demitasse.device.Backend with
            dev.demitasse.reference.ReferenceBackend;
}
