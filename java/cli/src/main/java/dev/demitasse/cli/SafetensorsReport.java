package dev.demitasse.cli;

import dev.demitasse.safetensors.Safetensors;
import dev.demitasse.safetensors.SafetensorsTensor;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** What {@code demitasse show} prints of a safetensors model. */
final class SafetensorsReport {
    private SafetensorsReport() {}

    static void print(Safetensors file, boolean json) {
        if (json) {
            System.out.println(json(file));
            return;
        }
        System.out.printf("safetensors, %,d bytes%n%n", file.fileBytes());
        file.metadata()
                .forEach((key, value) ->
                        System.out.printf("%-44s %s%n", Console.harmless(key), Console.harmless(value)));
        for (SafetensorsTensor tensor : file.tensors()) {
            System.out.printf("%-56s %-7s %s%n", Console.harmless(tensor.name()), tensor.type(), tensor.shape());
        }
        System.out.println();
        bytesPerType(file).forEach((type, bytes) -> System.out.printf(Locale.ROOT, "%-7s %,15d bytes%n", type, bytes));
    }

    private static Map<String, Long> bytesPerType(Safetensors file) {
        Map<String, Long> perType = new TreeMap<>();
        for (SafetensorsTensor tensor : file.tensors()) {
            perType.merge(tensor.type().name(), tensor.data().byteSize(), Long::sum);
        }
        return perType;
    }

    private static String json(Safetensors file) {
        return JsonLine.of(out -> {
            out.writeNumberField("bytes", file.fileBytes());
            out.writeObjectFieldStart("metadata");
            for (Map.Entry<String, String> entry : file.metadata().entrySet()) {
                out.writeStringField(entry.getKey(), entry.getValue());
            }
            out.writeEndObject();
            out.writeArrayFieldStart("tensors");
            for (SafetensorsTensor tensor : file.tensors()) {
                out.writeStartObject();
                out.writeStringField("name", tensor.name());
                out.writeStringField("type", tensor.type().name());
                out.writeFieldName("shape");
                long[] shape =
                        tensor.shape().stream().mapToLong(Long::longValue).toArray();
                out.writeArray(shape, 0, shape.length);
                out.writeNumberField("bytes", tensor.data().byteSize());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeObjectFieldStart("bytesPerType");
            for (Map.Entry<String, Long> entry : bytesPerType(file).entrySet()) {
                out.writeNumberField(entry.getKey(), entry.getValue());
            }
            out.writeEndObject();
        });
    }
}
