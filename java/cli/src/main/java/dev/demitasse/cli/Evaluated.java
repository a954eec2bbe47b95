package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Evaluation;
import dev.demitasse.quantize.Needle;
import java.io.IOException;
import java.util.List;

/**
 * A model with a type of cache, as {@code evaluate} found it.
 *
 * @param model its name
 * @param bits a weight, on average
 * @param cache its cache
 * @param needles what it found of the needle; empty where none was looked for
 */
record Evaluated(String model, double bits, String cache, Evaluation.Result result, List<Needle.Found> needles) {
    /** The base that models are compared with. */
    record Base(String model, String cache, List<Needle.Found> needles) {}

    /** The model and its cache, for people. */
    String name() {
        return model + " (" + cache + ")";
    }

    /** One JSON object. */
    String json(Base base, int window) {
        return JsonLine.of(out -> {
            out.writeStringField("model", model);
            out.writeNumberField("bitsPerWeight", bits);
            out.writeStringField("cache", cache);
            out.writeStringField("baseCache", base.cache);
            write(out, "perplexity", result.perplexity());
            write(out, "basePerplexity", result.basePerplexity());
            write(out, "logRatio", result.logRatio());
            write(out, "meanKld", result.meanKld());
            out.writeNumberField("medianKld", result.medianKld());
            out.writeNumberField("kld99", result.kld99());
            out.writeNumberField("maxKld", result.maxKld());
            write(out, "sameTop", result.sameTop());
            out.writeNumberField("tokens", result.tokens());
            out.writeNumberField("ctx", window);
            out.writeArrayFieldStart("curve");
            for (Evaluation.Stretch stretch : result.curve()) {
                out.writeStartObject();
                out.writeNumberField("first", stretch.first());
                out.writeNumberField("last", stretch.last());
                write(out, "meanKld", stretch.meanKld());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeArrayFieldStart("needle");
            for (int i = 0; i < needles.size(); i++) {
                Needle.Found ofBase = base.needles.get(i);
                out.writeStartObject();
                out.writeNumberField("depth", needles.get(i).depth());
                out.writeBooleanField("found", needles.get(i).found());
                out.writeNumberField("probability", needles.get(i).probability());
                out.writeBooleanField("baseFound", ofBase.found());
                out.writeNumberField("baseProbability", ofBase.probability());
                out.writeEndObject();
            }
            out.writeEndArray();
        });
    }

    private static void write(JsonGenerator out, String name, Estimate estimate) throws IOException {
        out.writeNumberField(name, estimate.mean());
        out.writeNumberField(name + "Error", estimate.standardError());
    }
}
