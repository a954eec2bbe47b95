/** The public API, the file formats, the tokenisers, the forward pass and the reference device. */
module dev.demitasse {
    requires com.fasterxml.jackson.core;
    requires static transitive org.jspecify;

    exports dev.demitasse;
    exports dev.demitasse.chat;
    exports dev.demitasse.device;
    exports dev.demitasse.gguf;
    exports dev.demitasse.kv;
    exports dev.demitasse.memory;
    exports dev.demitasse.model;
    exports dev.demitasse.quant;
    exports dev.demitasse.reference;
    exports dev.demitasse.runtime;
    exports dev.demitasse.sampling;
    exports dev.demitasse.tokenizer;

    uses dev.demitasse.device.Backend;

    provides dev.demitasse.device.Backend with
            dev.demitasse.reference.ReferenceBackend;
}
